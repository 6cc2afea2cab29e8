//! Which provider sends which message: the first of the channel's chain that takes it. One that fails again and again
//! is passed over for a while. Logs and metrics tell channels and providers, never anything of a message.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tracing::{error, info, warn};

pub use super::breaker::BreakerSettings;
use super::breaker::{Breaker, Change};
use super::dispatcher::{Sender, Sent};
use super::message::Channel;
use super::provider::{Failure, Meaning, Provider};
use crate::clock::Clock;
use crate::store::{StoreError, StoredMessage};

/// Sends by chains of providers.
pub struct Router {
    chains: HashMap<Channel, Vec<Arc<Guarded>>>,
    clock: Arc<dyn Clock>,
    timeout: Duration,
}

/// A provider with its breaker. The same one may stand in the chains of several channels.
pub struct Guarded {
    provider: Box<dyn Provider>,
    breaker: Breaker,
}

impl Guarded {
    /// Guards a provider.
    pub fn new(provider: Box<dyn Provider>, breaker: BreakerSettings) -> Self {
        Self {
            provider,
            breaker: Breaker::new(breaker),
        }
    }
}

impl Router {
    /// A router that gives each provider `timeout` for a message.
    pub fn new(
        chains: HashMap<Channel, Vec<Arc<Guarded>>>,
        clock: Arc<dyn Clock>,
        timeout: Duration,
    ) -> Self {
        Self {
            chains,
            clock,
            timeout,
        }
    }

    /// Asks one after the other. Only if all have refused the message is it refused for good: of one that was passed
    /// over, or could not be reached, nobody knows what it would say.
    async fn route(&self, message: &StoredMessage) -> Sent {
        let channel = message.message.channel;
        let chain = self.chains.get(&channel).map_or(&[][..], Vec::as_slice);
        let mut refused = 0;
        for guarded in chain {
            if !guarded.breaker.allows(Instant::now()) {
                count(channel, guarded.provider.name(), "passed_over");
                continue;
            }
            match self.ask(guarded, message).await {
                Ok(()) => return Sent::Done,
                Err(failure) if failure.meaning == Meaning::Refused => refused += 1,
                Err(_) => {}
            }
        }
        if refused == chain.len() {
            Sent::Never
        } else {
            Sent::Later
        }
    }

    async fn ask(&self, guarded: &Guarded, message: &StoredMessage) -> Result<(), Failure> {
        let (provider, channel) = (guarded.provider.name(), message.message.channel);
        let began = Instant::now();
        let attempt = guarded.provider.hand_over(message, self.clock.now());
        let result = tokio::time::timeout(self.timeout, attempt)
            .await
            .unwrap_or_else(|_| Err(Failure::new(Meaning::Unavailable, "no answer in time")));
        metrics::histogram!("factord_delivery_seconds", "channel" => channel.as_str(), "provider" => provider)
            .record(began.elapsed());
        let outcome = match &result {
            Ok(()) => "sent",
            Err(failure) => failure.meaning.as_str(),
        };
        count(channel, provider, outcome);
        if let Err(reason) = &result {
            let (id, channel) = (message.id, channel.as_str());
            info!(id, channel, provider, outcome, %reason, "a message was not taken");
        }
        guarded.heard(&result);
        result
    }
}

impl Guarded {
    /// Tells the breaker. A refusal of one message shows that the provider works.
    fn heard(&self, result: &Result<(), Failure>) {
        let provider = self.provider.name();
        let unavailable = result
            .as_ref()
            .err()
            .filter(|failure| failure.meaning == Meaning::Unavailable);
        let change = match unavailable {
            Some(_) => self.breaker.failed(Instant::now()),
            None => self.breaker.succeeded(),
        };
        match (change, unavailable) {
            (Change::Opened, Some(reason)) => {
                error!(provider, %reason, "a provider fails again and again, and is left alone for a while");
            }
            (Change::Closed, _) => warn!(provider, "a provider works again"),
            _ => return,
        }
        let open = if change == Change::Opened { 1.0 } else { 0.0 };
        metrics::gauge!("factord_delivery_breaker_open", "provider" => provider).set(open);
    }
}

impl Sender for Router {
    fn send<'a>(
        &'a self,
        message: &'a StoredMessage,
    ) -> Pin<Box<dyn Future<Output = Result<Sent, StoreError>> + Send + 'a>> {
        Box::pin(async move { Ok(self.route(message).await) })
    }
}

fn count(channel: Channel, provider: &'static str, outcome: &'static str) {
    metrics::counter!(
        "factord_deliveries_total",
        "channel" => channel.as_str(),
        "provider" => provider,
        "outcome" => outcome
    )
    .increment(1);
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::sync::Mutex;

    use metrics_exporter_prometheus::PrometheusBuilder;

    use super::*;
    use crate::clock::{SystemClock, Timestamp};
    use crate::delivery::provider::HandOver;
    use crate::delivery::provider::example;

    #[tokio::test]
    async fn the_first_provider_that_takes_a_message_is_the_last_that_is_asked() {
        let scene = Scene::new(&[&[Answer::Take], &[Answer::Take]]);
        assert_eq!(scene.send().await, Sent::Done);
        assert_eq!(scene.asked(), ["first"]);
    }

    #[tokio::test]
    async fn the_fallback_is_asked_whatever_the_reason_that_the_first_gave() {
        for answer in [
            Answer::Fail(Meaning::Refused),
            Answer::Fail(Meaning::Deferred),
            Answer::Fail(Meaning::Unavailable),
            Answer::Hang,
        ] {
            let scene = Scene::new(&[&[answer], &[Answer::Take]]);
            assert_eq!(scene.send().await, Sent::Done, "{answer:?}");
            assert_eq!(scene.asked(), ["first", "second"]);
        }
    }

    #[tokio::test]
    async fn a_message_is_given_up_only_when_all_have_refused_it() {
        let scene = Scene::new(&[
            &[Answer::Fail(Meaning::Refused)],
            &[
                Answer::Fail(Meaning::Unavailable),
                Answer::Fail(Meaning::Refused),
            ],
        ]);
        assert_eq!(scene.send().await, Sent::Later);
        assert_eq!(scene.send().await, Sent::Never);
    }

    #[tokio::test]
    async fn a_message_on_a_channel_that_nobody_sends_by_is_given_up() {
        let scene = Scene::new(&[&[Answer::Take]]);
        let message = example(Channel::Voice, "+12025550123");
        assert_eq!(scene.router.send(&message).await.unwrap(), Sent::Never);
    }

    #[tokio::test]
    async fn a_provider_that_fails_again_and_again_is_passed_over_and_may_be_the_one_that_would_take_it()
     {
        let scene = Scene::new(&[
            &[
                Answer::Fail(Meaning::Unavailable),
                Answer::Fail(Meaning::Unavailable),
                Answer::Take,
            ],
            &[Answer::Fail(Meaning::Refused)],
        ]);
        for _ in 0..3 {
            assert_eq!(scene.send().await, Sent::Later);
        }
        assert_eq!(
            scene.asked(),
            ["first", "second", "first", "second", "second"]
        );
    }

    #[tokio::test]
    async fn refusals_of_messages_do_not_count_against_the_provider() {
        let refused = [Answer::Fail(Meaning::Refused); 5];
        let scene = Scene::new(&[&refused]);
        for _ in 0..5 {
            assert_eq!(scene.send().await, Sent::Never);
        }
        assert_eq!(scene.asked().len(), 5);
    }

    #[test]
    fn metrics_tell_channel_provider_and_outcome_and_nothing_else() {
        let recorder = PrometheusBuilder::new().build_recorder();
        let handle = recorder.handle();
        metrics::with_local_recorder(&recorder, || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_time()
                .build()
                .unwrap();
            runtime.block_on(async {
                let scene = Scene::new(&[&[Answer::Fail(Meaning::Deferred)], &[Answer::Take]]);
                scene.send().await;
            });
        });
        let text = handle.render();
        for line in [
            r#"factord_deliveries_total{channel="sms",provider="first",outcome="deferred"} 1"#,
            r#"factord_deliveries_total{channel="sms",provider="second",outcome="sent"} 1"#,
            r#"factord_delivery_seconds_count{channel="sms",provider="first"} 1"#,
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
        assert!(!text.contains("2025550123"));
    }

    /// A chain of providers that answer as they are told, and remember who was asked.
    struct Scene {
        router: Router,
        asked: Arc<Mutex<Vec<&'static str>>>,
    }

    #[derive(Clone, Copy, Debug)]
    enum Answer {
        Take,
        Fail(Meaning),
        Hang,
    }

    struct Scripted {
        name: &'static str,
        answers: Mutex<VecDeque<Answer>>,
        asked: Arc<Mutex<Vec<&'static str>>>,
    }

    impl Scene {
        fn new(scripts: &[&[Answer]]) -> Self {
            let asked = Arc::<Mutex<Vec<_>>>::default();
            let breaker = BreakerSettings {
                failures: 2,
                pause: Duration::from_hours(1),
            };
            let chain = ["first", "second"]
                .into_iter()
                .zip(scripts)
                .map(|(name, script)| {
                    let provider = Scripted {
                        name,
                        answers: Mutex::new(script.iter().copied().collect()),
                        asked: Arc::clone(&asked),
                    };
                    Arc::new(Guarded::new(Box::new(provider), breaker))
                });
            let chains = HashMap::from([(Channel::Sms, chain.collect())]);
            let timeout = Duration::from_millis(20);
            Self {
                router: Router::new(chains, Arc::new(SystemClock::default()), timeout),
                asked,
            }
        }

        async fn send(&self) -> Sent {
            self.router
                .send(&example(Channel::Sms, "+12025550123"))
                .await
                .unwrap()
        }

        fn asked(&self) -> Vec<&'static str> {
            self.asked.lock().unwrap().clone()
        }
    }

    impl Provider for Scripted {
        fn name(&self) -> &'static str {
            self.name
        }

        fn hand_over<'a>(&'a self, _: &'a StoredMessage, _: Timestamp) -> HandOver<'a> {
            self.asked.lock().unwrap().push(self.name);
            let answer = self.answers.lock().unwrap().pop_front();
            Box::pin(async move {
                match answer {
                    Some(Answer::Take) => Ok(()),
                    Some(Answer::Fail(meaning)) => Err(Failure::new(meaning, "as told")),
                    // A script that has ended refuses.
                    None => Err(Failure::new(Meaning::Refused, "as told")),
                    Some(Answer::Hang) => std::future::pending().await,
                }
            })
        }
    }
}

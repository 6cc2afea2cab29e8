//! A call by its link: what the phone says, and what follows from what is done on it. The same for a gateway and for whoever plays
//! the person in `factord dev`.

use secrecy::{ExposeSecret, SecretString};
use uuid::Uuid;

use crate::audit::Reason;
use crate::crypto::tokens::TokenHash;
use crate::factor::voice::{self, CallEvent, Report};
use crate::http::AppState;
use crate::http::error::Error;
use crate::messages::CallLines;
use crate::mfa::answer::{GiveAnswer, Origin, Outcome};
use crate::mfa::data::Data;
use crate::mfa::ids::UserId;
use crate::mfa::refusal::Refusal;
use crate::service;

/// A call that a link leads to.
pub(in crate::http) struct Call {
    user: UserId,
    id: Uuid,
    token: SecretString,
    link: String,
    lines: CallLines,
    /// Whether what it is about has not ended.
    is_pending: bool,
    /// Whether the code can still be typed.
    is_open: bool,
}

/// What the phone says.
pub(in crate::http) struct Spoken {
    /// The language (BCP 47).
    pub(super) language: &'static str,
    /// The sentences; the last is a goodbye where no digits are heard after them.
    pub(in crate::http) say: Vec<String>,
    /// What is said when no digits come.
    pub(super) goodbye: String,
    /// Whether digits are heard then.
    pub(super) gathers: bool,
}

impl Call {
    /// The call that the link with this token is about; `None` if it leads nowhere.
    pub(in crate::http) async fn find(
        app: &AppState,
        id: Uuid,
        token: SecretString,
    ) -> Result<Option<Self>, Error> {
        let store = app.service.store();
        let Some(user) = store.linked_user(TokenHash::of_secret(&token)).await? else {
            return Ok(None);
        };
        let user = match app.service.user(user).await {
            Ok(user) => user,
            Err(service::Error::NoSuchUser) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let (core, now) = (app.service.core(), store.now());
        let mfa = &user.mfa;
        let registrations = mfa.registrations.iter().map(|it| (it.id, &it.data));
        let verifications = mfa.verifications.iter().map(|it| (it.id, &it.data));
        let mut pending = registrations.chain(verifications);
        let data = pending.find(|(pending, _)| *pending == id).map(|it| it.1);
        let is_open =
            data.is_some_and(|data| voice::is_open(&core, user.id, id, data, &token, now));
        Ok(Some(Self {
            user: user.id,
            id,
            link: core.link(&voice::path(id, &token)),
            token,
            lines: core.call_lines(&user.profile),
            is_pending: data.is_some(),
            is_open,
        }))
    }

    /// What the phone says of a link that leads nowhere.
    pub(super) fn nobody(app: &AppState) -> Spoken {
        let core = app.service.core();
        let language = core.texts.default_language;
        let lines = core.texts.call_lines(language, &core.service_name);
        ends(&lines, Vec::new())
    }

    /// Where the gateway posts what was typed.
    pub(super) fn digits_url(&self) -> String {
        format!("{}/digits", self.link)
    }

    /// What the phone says first. Nothing changes.
    pub(in crate::http) fn greet(&self) -> Spoken {
        if self.is_open {
            self.ask(&self.lines.prompt)
        } else {
            self.expired()
        }
    }

    /// Takes what was typed, and gives what the phone says to it.
    pub(in crate::http) async fn typed(
        &self,
        app: &AppState,
        digits: String,
    ) -> Result<Spoken, Error> {
        match self.report(app, CallEvent::Digits(digits)).await {
            Ok(Outcome::Accepted(_)) => Ok(ends(&self.lines, vec![self.lines.success.clone()])),
            Err(service::Error::Refused(Refusal::Unauthorized(Reason::Wrong))) if self.is_open => {
                Ok(self.ask(&self.lines.wrong))
            }
            Err(service::Error::Store(error)) => Err(error.into()),
            Err(service::Error::Refused(Refusal::Fault(fault))) => {
                Err(Refusal::Fault(fault).into())
            }
            // Nothing typed is looked at: the phone hangs up, and with the call its code has ended.
            Err(service::Error::Refused(
                Refusal::Delayed(_) | Refusal::Disabled | Refusal::FactorDisabled,
            )) => {
                self.over(app, CallEvent::HungUp).await?;
                Ok(ends(&self.lines, Vec::new()))
            }
            Ok(_) if self.is_open => Ok(ends(&self.lines, Vec::new())),
            Ok(_) | Err(_) => Ok(self.expired()),
        }
    }

    fn expired(&self) -> Spoken {
        ends(&self.lines, vec![self.lines.expired.clone()])
    }

    /// Takes that the call is over. One that was answered before is none of it.
    pub(in crate::http) async fn over(
        &self,
        app: &AppState,
        event: CallEvent,
    ) -> Result<(), Error> {
        if !self.is_pending {
            return Ok(());
        }
        match self.report(app, event).await {
            Ok(_) | Err(service::Error::NoSuchUser) => Ok(()),
            Err(service::Error::Refused(refusal)) if !matches!(refusal, Refusal::Fault(_)) => {
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Whose call it is, and what it is about.
    pub(in crate::http) const fn about(&self) -> (UserId, Uuid) {
        (self.user, self.id)
    }

    async fn report(&self, app: &AppState, event: CallEvent) -> Result<Outcome, service::Error> {
        let report = Report {
            token: self.token.expose_secret().to_owned(),
            event,
        };
        let command = GiveAnswer {
            id: self.id,
            from: Origin::Person,
            answer: Data::of(&report),
        };
        app.service.decide(self.user, command).await
    }

    fn ask(&self, line: &str) -> Spoken {
        Spoken {
            language: self.lines.language,
            say: vec![line.to_owned()],
            goodbye: self.lines.goodbye.clone(),
            gathers: true,
        }
    }
}

fn ends(lines: &CallLines, mut say: Vec<String>) -> Spoken {
    say.push(lines.goodbye.clone());
    Spoken {
        language: lines.language,
        say,
        goodbye: lines.goodbye.clone(),
        gathers: false,
    }
}

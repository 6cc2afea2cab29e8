//! Random histories of commands and clock moves, against a small model of the invariants.

use std::collections::HashSet;

use proptest::prelude::*;

use super::super::device::DeleteDevice;
use super::super::temporary_token::CreateTemporaryToken;
use super::*;
use crate::audit::Reason;

#[derive(Clone, Debug)]
enum Step {
    Advance(i64),
    Challenge(usize),
    RightCode(usize),
    WrongCode(usize),
    OldCode(usize),
    AnyDevice(usize),
    Token,
    UseToken(usize),
    Reenrol,
}

fn step() -> impl Strategy<Value = Step> {
    let which = 0..3_usize;
    prop_oneof![
        3 => prop_oneof![0..3_i64, Just(30), Just(119), Just(120), Just(900), Just(86_400)].prop_map(Step::Advance),
        3 => which.clone().prop_map(Step::Challenge),
        4 => which.clone().prop_map(Step::RightCode),
        4 => which.clone().prop_map(Step::WrongCode),
        3 => (0..8_usize).prop_map(Step::OldCode),
        2 => which.clone().prop_map(Step::AnyDevice),
        1 => Just(Step::Token),
        1 => which.prop_map(Step::UseToken),
        1 => Just(Step::Reenrol),
    ]
}

/// What must be true, whatever happens.
struct Model {
    world: World,
    app: DeviceId,
    secret: Vec<u8>,
    sms: DeviceId,
    /// The open challenge by text message: verification, code.
    sent: Option<(Uuid, String)>,
    /// Every (device, code) that was accepted: none may be accepted again. A time step's code may recur by chance, so
    /// the step is part of what was accepted.
    accepted: Vec<(DeviceId, String)>,
    steps: HashSet<(DeviceId, u64)>,
    tokens: Vec<String>,
    spent_tokens: HashSet<String>,
}

impl Model {
    fn new() -> Self {
        let mut world = World::new();
        let (app, secret) = world.enrol_authenticator();
        let sms = world.enrol_verified(SMS);
        Self {
            world,
            app,
            secret,
            sms,
            sent: None,
            accepted: Vec::new(),
            steps: HashSet::new(),
            tokens: Vec::new(),
            spent_tokens: HashSet::new(),
        }
    }

    fn counts(&self) -> (u32, u32, u32) {
        let failures = |device| self.world.device_failures(device);
        (
            failures(self.app),
            failures(self.sms),
            self.world.user.mfa.throttle.failures,
        )
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Advance(seconds) => self.world.advance(*seconds),
            Step::Challenge(which) => self.challenge(*which),
            Step::RightCode(which) => self.right(*which),
            Step::WrongCode(which) => self.wrong(*which),
            Step::OldCode(index) => self.old(*index),
            Step::AnyDevice(which) => self.any(*which),
            Step::Token => {
                let command = CreateTemporaryToken {
                    expires_in: Some(3_600),
                    reusable: false,
                };
                if let Ok(token) = self.world.run(&command) {
                    self.tokens.push(token.digits.to_string());
                }
            }
            Step::UseToken(index) => self.use_token(*index),
            Step::Reenrol => {
                self.world.run(&DeleteDevice { device: self.app }).unwrap();
                (self.app, self.secret) = self.world.enrol_authenticator_or_retry();
            }
        }
    }

    fn challenge(&mut self, which: usize) {
        let device = if which == 0 { self.app } else { self.sms };
        let messages = self.world.messages.len();
        let before = self.counts();
        if let Ok(view) = self.world.challenge(device)
            && device == self.sms
        {
            assert_eq!(self.world.messages.len(), messages + 1);
            self.sent = Some((view.verification.id, self.world.last_code()));
        } else {
            assert_eq!(self.world.messages.len(), messages);
        }
        assert_eq!(self.counts(), before, "a challenge clears nothing");
    }

    fn right(&mut self, which: usize) {
        if which == 2 {
            let Some((id, code)) = self.sent.clone() else {
                return;
            };
            let before = self.counts();
            match self.world.complete(id, &code) {
                Ok(()) => self.accept(self.sms, code, None, before),
                Err(refusal) => assert_ne!(refusal, Refusal::Unauthorized(Reason::Wrong)),
            }
            return;
        }
        let (before, code) = (self.counts(), self.world.totp(&self.secret, 0));
        let step = otp::time_step(self.world.now);
        match self.world.verify(Some(self.app), &code) {
            Ok(()) => self.accept(self.app, code, Some(step), before),
            Err(Refusal::Unauthorized(reason)) => {
                assert_eq!(reason, Reason::Used);
                assert!(self.counts().2 <= before.2 + 1);
            }
            Err(refusal) => assert!(
                matches!(refusal, Refusal::Delayed(_) | Refusal::Disabled),
                "{refusal:?}"
            ),
        }
    }

    fn accept(
        &mut self,
        device: DeviceId,
        code: String,
        step: Option<u64>,
        before: (u32, u32, u32),
    ) {
        if let Some(step) = step {
            assert!(
                self.steps.insert((device, step)),
                "a time step was accepted twice"
            );
        }
        let after = self.counts();
        assert_eq!(after.2, 0, "a success clears the user's count");
        if device == self.app {
            assert_eq!(
                (after.0, after.1),
                (0, before.1),
                "and its own device's, and only that"
            );
        } else {
            assert_eq!(
                (after.0, after.1),
                (before.0, 0),
                "and its own device's, and only that"
            );
            self.sent = None;
        }
        self.accepted.push((device, code));
    }

    fn wrong(&mut self, which: usize) {
        let before = self.counts();
        let bad = never(&self.world, &self.secret);
        let refusal = match (which, self.sent.clone()) {
            (2, Some((id, code))) => self.world.complete(id, &wrong(&code)),
            _ => self.world.verify(Some(self.app), &bad),
        }
        .unwrap_err();
        let after = self.counts();
        match refusal {
            Refusal::Unauthorized(Reason::Wrong) => {
                assert_eq!(
                    after.0 + after.1,
                    before.0 + before.1 + 1,
                    "one guess, one count"
                );
                assert_eq!(after.2, before.2 + 1);
            }
            _ => assert_eq!(after, before, "what was not looked at counts nothing"),
        }
    }

    /// What was accepted before is not accepted again, wherever it is sent.
    fn old(&mut self, index: usize) {
        let Some((device, code)) = self.accepted.get(index).cloned() else {
            return;
        };
        let current = [-1, 0, 1].map(|steps| self.world.totp(&self.secret, steps));
        let by_chance =
            current.contains(&code) || self.sent.as_ref().is_some_and(|(_, sent)| *sent == code);
        let fresh = !self.steps.iter().any(|(used, step)| {
            *used == device && (step.abs_diff(otp::time_step(self.world.now)) <= 1)
        });
        if by_chance && fresh {
            return;
        }
        assert!(self.world.verify(Some(device), &code).is_err());
        assert!(self.world.verify(None, &code).is_err());
    }

    fn any(&mut self, which: usize) {
        let before = self.counts();
        if which == 0
            && let Some((_, code)) = self.sent.clone()
        {
            if self.world.verify(None, &code).is_ok() {
                self.accept(self.sms, code, None, before);
            }
            return;
        }
        let bad = never(&self.world, &self.secret);
        if self.sent.as_ref().is_none_or(|(_, code)| *code != bad) {
            self.world.verify(None, &bad).unwrap_err();
        }
    }

    fn use_token(&mut self, index: usize) {
        let Some(digits) = self.tokens.get(index).cloned() else {
            return;
        };
        if self.world.verify(None, &digits).is_ok() {
            assert!(
                self.spent_tokens.insert(digits),
                "a temporary token was accepted twice"
            );
        }
    }

    /// Whoever is locked stays locked for every code, the right one too.
    fn check_locks(&mut self) {
        let number = self.app.number();
        let device = self.world.user.mfa.device(number).unwrap();
        let (rules, now) = (&self.world.core.rules, self.world.now);
        let locked = device
            .throttle
            .gate(now, rules)
            .and(self.world.user.mfa.throttle.delay(now));
        if let Err(expected) = locked.pass() {
            let code = self.world.totp(&self.secret, 0);
            assert_eq!(self.world.verify(Some(self.app), &code), Err(expected));
        }
        assert!(self.world.user.mfa.temporary_tokens.len() <= 3);
        assert!(self.world.user.mfa.verifications.len() <= 11);
    }
}

impl World {
    /// Enrols an authenticator app, waiting for the user's delay to pass.
    fn enrol_authenticator_or_retry(&mut self) -> (DeviceId, Vec<u8>) {
        self.advance(self.core.rules.longest_delay);
        self.enrol_authenticator()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn no_history_breaks_an_invariant(steps in prop::collection::vec(step(), 1..120)) {
        let mut model = Model::new();
        for step in &steps {
            model.step(step);
            model.check_locks();
        }
    }
}

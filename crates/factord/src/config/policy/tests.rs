//! The policy from real files.

use super::*;
use crate::config::tests::{Files, MINIMAL, variables};
use crate::config::{Config, PolicyConfig};

#[test]
fn without_a_policy_everything_is_offered_as_the_factors_say() {
    let everybody = Policy {
        magic_link: MagicLinkMode::Bound,
        ..Policy::default()
    };
    assert_eq!(policies(""), Policies::new(None, everybody));
}

#[test]
fn a_group_inherits_what_it_does_not_say_and_replaces_what_it_does() {
    let policies = policies(GROUPS_FILE);
    let everybody = &policies.everybody;
    assert!(everybody.offers(factor("sms")) && !everybody.offers(factor("recovery_codes")));
    assert_eq!(everybody.devices(factor("authenticator")), 3);
    assert_eq!(everybody.devices(factor("sms")), 1);

    let finance = &policies.group("finance").unwrap().policy;
    assert!(finance.offers(factor("recovery_codes")) && !finance.offers(factor("sms")));
    assert!(finance.disables(factor("sms")));
    assert_eq!(finance.devices(factor("authenticator")), 3);
    assert_eq!(
        (finance.default_expires_in, finance.max_expires_in),
        (120, 300)
    );
    assert_eq!(finance.max_token_expires_in, 3_600);
    assert!(finance.disables(factor("magic_link")) && !everybody.disables(factor("magic_link")));

    let legal = &policies.group("Legal & Tax").unwrap().policy;
    assert!(legal.offers(factor("email")) && !legal.offers(factor("sms")));
    assert_eq!(legal.devices(factor("authenticator")), 1);
    assert_eq!((legal.default_expires_in, legal.max_expires_in), (180, 600));
}

#[test]
fn a_group_is_picked_whatever_the_case_and_the_blanks_around_its_name() {
    let policies = policies(GROUPS_FILE);
    for name in ["finance", " Finance\t", "FINANCE"] {
        let group = policies.group(name).unwrap();
        assert_eq!(group.name, "finance");
    }
    assert_eq!(policies.group("financial"), None);
}

#[test]
fn a_variable_beats_the_file_for_what_holds_for_everybody() {
    let files = Files::new(&format!("{MINIMAL}{GROUPS_FILE}"));
    let mut sources = files.sources();
    sources.environment = variables(&[
        ("FACTORD_POLICY_FACTORS", "email, authenticator"),
        ("FACTORD_POLICY_MAX_EXPIRES_IN", "700"),
    ]);
    let policies = Config::load(&sources).unwrap().config.policies;
    assert!(!policies.everybody.offers(factor("sms")));
    assert_eq!(policies.everybody.max_expires_in, 700);
    assert_eq!(
        policies.group("finance").unwrap().policy.max_expires_in,
        300
    );
}

#[test]
fn each_thing_that_is_wrong_is_named_with_its_key_and_what_is_expected() {
    for (lines, key, reason) in WRONG {
        let files = Files::new(&format!("{MINIMAL}{lines}\n"));
        let error = Config::load(&files.sources()).unwrap_err().to_string();
        assert!(
            error.contains(&format!("\n  {key}")) && error.contains(reason),
            "{lines} gave {error}"
        );
        let alone = PolicyConfig::load(&files.sources())
            .unwrap_err()
            .to_string();
        assert_eq!(alone, error);
    }
}

#[test]
fn all_that_is_wrong_is_said_at_once() {
    let files = Files::new(
        "[policy]\nfactors = ['smss', 'emial']\n[policy.devices]\nsms = 0\nnone = 1\n[policy.groups.a]\nfactor = []\n\
         max_expires_in = 1\n[policy.groups.A]\ndefault_expires_in = 900\nmax_expires_in = 120\n",
    );
    let problems = PolicyConfig::load(&files.sources()).unwrap_err().problems;
    let mut keys: Vec<_> = problems.iter().map(|it| it.key.as_str()).collect();
    keys.sort_unstable();
    let expected = [
        "policy.attribute",
        "policy.devices.none",
        "policy.devices.sms",
        "policy.factors",
        "policy.groups.A.default_expires_in",
        "policy.groups.a",
        "policy.groups.a.factor",
        "policy.groups.a.max_expires_in",
    ];
    assert_eq!(keys, expected);
    let factors = problems
        .iter()
        .find(|it| it.key == "policy.factors")
        .unwrap();
    assert!(factors.message.contains("did you mean sms?") && factors.message.contains("email?"));
}

#[test]
fn what_has_no_effect_is_a_warning() {
    let files = Files::new(&format!(
        "{MINIMAL}[policy]\nattribute = 'department'\nfactors = ['sms', 'authenticator']\n"
    ));
    let warnings = Config::load(&files.sources()).unwrap().warnings;
    let [sms, attribute] = &warnings[..] else {
        panic!("{warnings:?}")
    };
    assert!(sms.starts_with("policy.factors names sms, which is not offered all the same"));
    assert!(attribute.starts_with("policy.attribute is set, but there are no groups"));
}

#[test]
fn a_policy_is_looked_at_without_any_secret() {
    let files = Files::new("sealing_key_file = '/nowhere'\n[policy]\nfactors = ['email']\n");
    let config = PolicyConfig::load(&files.sources()).unwrap().config;
    assert!(config.policies.everybody.offers(factor("email")));
    assert_eq!(config.channels, []);
}

#[test]
fn what_only_a_new_start_takes_over_is_named_and_what_comes_to_the_same_is_not() {
    let load = |lines: &str| {
        let files = Files::new(&format!("{MINIMAL}{lines}"));
        Config::load(&files.sources()).unwrap().config
    };
    let running = load("listen = '127.0.0.1:9'\n[limits]\nbody_timeout = 9\n");
    let changed = load(
        "service_name = 'New'\nrate_limit = 5\n[limits]\nidle_timeout = 75\n[rules]\nfirst_delay = 31\n[policy]\n\
         max_expires_in = 800\n",
    );
    let beyond = changed.changed_beyond_reload(&running);
    // The key file is another one for each.
    assert_eq!(
        beyond,
        [
            "limits.body_timeout",
            "listen",
            "rate_limit",
            "sealing_key_file"
        ]
    );
    assert!(running.changed_beyond_reload(&running).is_empty());
}

fn policies(lines: &str) -> Policies {
    let files = Files::new(&format!("{MINIMAL}{lines}"));
    Config::load(&files.sources()).unwrap().config.policies
}

fn factor(key: &str) -> &'static Description {
    let catalogue = Catalogue::standard();
    let factor = catalogue.offered().find(|(_, factor)| factor.key == key);
    factor.unwrap().1
}

const GROUPS_FILE: &str = r#"
[policy]
attribute = "department"
factors = ["authenticator", "sms", "email"]
max_expires_in = 600
[policy.devices]
authenticator = 3
[policy.groups.finance]
factors = ["authenticator", "recovery_codes"]
disabled = ["sms"]
magic_link = "off"
max_expires_in = 300
max_token_expires_in = 3600
[policy.groups."Legal & Tax"]
disabled = ["sms"]
default_expires_in = 180
devices.authenticator = 1
"#;

/// Lines of the file, how the problem begins, and what it says.
const WRONG: &[(&str, &str, &str)] = &[
    (
        "policy.factors = ['magic_link', 'smss']",
        "policy.factors (in ",
        "did you mean sms?",
    ),
    (
        "policy.magic_link = 'off'\npolicy.factors = ['magic_link']",
        "policy.factors: ",
        "it names magic_link, which magic_link = \"off\" disables",
    ),
    (
        "policy.magic_link = 'on'",
        "policy.magic_link (in ",
        "expected one of `polled`, `bound`, `off`",
    ),
    (
        "policy.factors = ['smss']",
        "policy.factors (in ",
        "there is no factor \"smss\"; did you mean sms? The factors are: authenticator, ",
    ),
    (
        "policy.factors = ['carrier_pigeon']",
        "policy.factors (in ",
        "there is no factor \"carrier_pigeon\". The factors are: authenticator, ",
    ),
    (
        "policy.factors = ['sms', 'sms']",
        "policy.factors (in ",
        "it names sms twice",
    ),
    (
        "policy.disabled = 'sms'",
        "policy.disabled (in ",
        "expected a sequence",
    ),
    (
        "policy.factors = ['sms', 'email']\npolicy.disabled = ['sms', 'email']",
        "policy.factors: ",
        "it names what policy.disabled names too: email, sms",
    ),
    (
        "policy.max_expires_in = 901",
        "policy.max_expires_in (in ",
        "901 is outside 120 to 900",
    ),
    (
        "policy.default_expires_in = 119",
        "policy.default_expires_in (in ",
        "119 is outside 120 to 900",
    ),
    (
        "policy.max_token_expires_in = 259201",
        "policy.max_token_expires_in (in ",
        "259201 is outside 120 to 259200",
    ),
    (
        "policy.default_expires_in = 300\npolicy.max_expires_in = 200",
        "policy.default_expires_in: ",
        "300 is more than max_expires_in, which is 200",
    ),
    (
        "policy.devices.sms = 0",
        "policy.devices.sms (in ",
        "0 is outside 1 to 20",
    ),
    (
        "policy.devices.smss = 1",
        "policy.devices.smss (in ",
        "did you mean sms?",
    ),
    ("policy.devices = 1", "policy.devices (in ", "it is a table"),
    (
        "policy.devices.recovery_codes = 2",
        "policy.devices.recovery_codes: ",
        "never more than 1",
    ),
    (
        "policy.devices.protect = 2",
        "policy.devices.protect: ",
        "pushes are counted for each user",
    ),
    (
        "policy.factor = ['sms']",
        "policy.factor (in ",
        "did you mean policy.factors? The keys in [policy] are: attribute, factors,",
    ),
    (
        "policy.attribute = ' '",
        "policy.attribute (in ",
        "is not the name of a custom attribute",
    ),
    (
        "policy.attribute = 'custom_attributes.team'",
        "policy.attribute (in ",
        "write the name of the custom attribute alone: \"team\"",
    ),
    (
        "policy.groups.a.factors = []",
        "policy.attribute: ",
        "it is missing",
    ),
    (
        "policy.attribute = 'a'\npolicy.groups.a = 1",
        "policy.groups.a (in ",
        "it is a table; write its keys under [policy.groups.a]",
    ),
    (
        "policy.attribute = 'a'\npolicy.groups.a.attribute = 'b'",
        "policy.groups.a.attribute (in ",
        "there is no such key",
    ),
    (
        "policy.attribute = 'a'\npolicy.groups.'the few'.max_expire_in = 300",
        "policy.groups.\"the few\".max_expire_in (in ",
        "did you mean max_expires_in? The keys in [policy.groups.\"the few\"] are: factors,",
    ),
    (
        "policy.attribute = 'a'\npolicy.groups.a.devices.smss = 1",
        "policy.groups.a.devices.smss (in ",
        "did you mean sms?",
    ),
    (
        "policy.attribute = 'a'\npolicy.groups.' '.factors = []",
        "policy.groups.\" \": ",
        "can never be anybody's",
    ),
    (
        "policy.attribute = 'a'\npolicy.groups.It.factors = []\npolicy.groups.iT.factors = []",
        "policy.groups.iT: ",
        "it is the same group as \"It\"",
    ),
    (
        "policy.attribute = 'a'\npolicy.disabled = ['sms']\npolicy.groups.a.factors = ['sms']",
        "policy.groups.a.factors: ",
        "it names what policy.disabled names: sms. Give the group a list of its own",
    ),
    (
        "policy.attribute = 'a'\npolicy.default_expires_in = 300\npolicy.groups.a.max_expires_in = 200",
        "policy.groups.a.max_expires_in: ",
        "200 is less than default_expires_in, which is 300 for everybody: set that here too",
    ),
];

//! The configuration from real files, and the documentation held against the types.

use std::fmt::Write;

use tempfile::TempDir;

use super::*;

#[test]
fn a_file_with_the_few_necessary_keys_is_enough() {
    let files = Files::new("public_url = 'https://mfa.example.com'\nsealing_key_file = 'KEY'\n");
    let Loaded { config, warnings } = Config::load(&files.sources()).unwrap();
    assert_eq!(config.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(config.public_url.as_str(), "https://mfa.example.com/");
    assert_eq!(text(&config.storage), KEY);
    assert_eq!(config.rate_limit, None);
    assert_eq!(config.limits.body_bytes, 65_536);
    assert!(warnings.is_empty());
    assert!(!format!("{config:?}").contains(KEY));
}

#[test]
fn a_variable_beats_the_file_and_a_flag_beats_both() {
    let files = Files::new(
        "public_url = 'https://file.example'\nservice_name = 'File'\nsealing_key_file = 'KEY'\n",
    );
    let mut sources = files.sources();
    sources.environment = variables(&[
        ("FACTORD_SERVICE_NAME", "Variable"),
        ("FACTORD_LIMITS_MAX_CONNECTIONS", "17"),
        ("FACTORD_TRUSTED_PROXIES", "10.0.0.0/8, 192.0.2.1"),
        ("FACTORD_LISTEN", "0.0.0.0:80"),
    ]);
    sources.flags = vec![Flag {
        key: "listen",
        name: "--listen",
        value: "127.0.0.1:9".to_owned(),
    }];
    let config = Config::load(&sources).unwrap().config;
    assert_eq!(config.public_url.host_str(), Some("file.example"));
    assert_eq!(config.service_name, "Variable");
    assert_eq!(config.limits.max_connections, 17);
    assert_eq!(config.net().max_connections, 17);
    let networks: Vec<_> = config
        .trusted_proxies
        .networks
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(networks, ["10.0.0.0/8", "192.0.2.1/32"]);
    assert_eq!(config.listen.port(), 9);
}

#[test]
fn a_name_that_looks_like_a_number_is_still_a_name() {
    let files = Files::new(MINIMAL);
    let mut sources = files.sources();
    sources.environment = variables(&[("FACTORD_SERVICE_NAME", "2026")]);
    assert_eq!(Config::load(&sources).unwrap().config.service_name, "2026");
}

#[test]
fn an_unknown_key_is_refused_with_the_one_that_was_meant_and_those_there_are() {
    let files = Files::new(&format!("{MINIMAL}[limits]\nmax_conections = 5\n"));
    let error = Config::load(&files.sources()).unwrap_err().to_string();
    assert!(error.contains("limits.max_conections (in "), "{error}");
    assert!(
        error.contains(
            "did you mean limits.max_connections? The keys in [limits] are: max_connections,"
        ),
        "{error}"
    );

    let files = Files::new(&format!("{MINIMAL}[limit]\nmax_connections = 5\n"));
    let error = Config::load(&files.sources()).unwrap_err().to_string();
    assert!(
        error.contains("did you mean limits? The keys at the top of the file are: listen,"),
        "{error}"
    );
}

#[test]
fn an_unknown_variable_is_a_warning_since_the_prefix_is_not_ours_alone() {
    let files = Files::new(MINIMAL);
    let mut sources = files.sources();
    sources.environment = variables(&[
        ("FACTORD_LISTN", "x"),
        ("FACTORD_PORT_80_TCP", "x"),
        ("HOME", "x"),
    ]);
    let warnings = Config::load(&sources).unwrap().warnings;
    let [near, far] = &warnings[..] else {
        panic!("{warnings:?}")
    };
    assert!(near.ends_with(
        "FACTORD_LISTN stands for no key and is passed over; did you mean FACTORD_LISTEN?"
    ));
    assert!(
        far.ends_with("FACTORD_PORT_80_TCP stands for no key and is passed over"),
        "{far}"
    );
}

#[test]
fn every_wrong_value_is_named_with_its_key_its_place_and_what_is_expected() {
    for (line, key, reason) in WRONG {
        let error =
            Config::load(&Files::new(&format!("{line}\nsealing_key_file = 'KEY'\n")).sources())
                .unwrap_err();
        let error = error.to_string();
        assert!(
            error.contains(&format!("\n  {key}")) && error.contains(reason),
            "{line} gave {error}"
        );
    }
}

#[test]
fn everything_that_is_wrong_is_said_at_once() {
    let files =
        Files::new("public_url = 7\nlisten = 7\nnonsense = 1\n[limits]\nmax_connections = 0\n");
    let mut sources = files.sources();
    sources.environment = variables(&[("FACTORD_RATE_LIMIT", "many")]);
    let problems = Config::load(&sources).unwrap_err().problems;
    let mut keys: Vec<_> = problems
        .iter()
        .map(|problem| problem.key.as_str())
        .collect();
    keys.sort_unstable();
    let expected = [
        "limits.max_connections",
        "listen",
        "nonsense",
        "public_url",
        "rate_limit",
        "sealing_key_file",
    ];
    assert_eq!(keys, expected);
}

#[test]
fn a_file_that_is_not_toml_is_named_by_line_and_not_shown() {
    let files = Files::new("listen = '127.0.0.1:1'\nsealing_key = hush hush\n");
    let error = Config::load(&files.sources()).unwrap_err().to_string();
    assert!(error.contains("line 2 is not TOML"), "{error}");
    assert!(!error.contains("hush"), "{error}");
}

#[test]
fn a_missing_file_is_an_error_and_no_file_is_not() {
    let mut sources = Sources {
        file: Some(PathBuf::from("nowhere/factord.toml")),
        ..Sources::default()
    };
    assert!(
        Config::load(&sources)
            .unwrap_err()
            .to_string()
            .contains("nowhere/factord.toml")
    );
    sources.file = None;
    sources.environment = variables(&[
        (known::SEALING_KEY_VARIABLE, KEY),
        ("FACTORD_PUBLIC_URL", "https://mfa.example.com"),
    ]);
    assert_eq!(text(&Config::load(&sources).unwrap().config.storage), KEY);
}

#[test]
fn without_a_sealing_key_nothing_starts() {
    let error = Config::load(&Files::new("public_url = 'https://mfa.example.com'\n").sources())
        .unwrap_err();
    let error = error.to_string();
    assert!(
        error.contains("sealing_key_file: there is no sealing key"),
        "{error}"
    );
    assert!(
        error.contains("factord key generate") && error.contains("FACTORD_SEALING_KEY"),
        "{error}"
    );
}

#[cfg(unix)]
#[test]
fn a_key_file_that_others_may_read_is_refused_with_the_cure() {
    for mode in [0o640, 0o604, 0o620, 0o777] {
        let files = Files::new(MINIMAL);
        let key = files.close_key(mode);
        let error = Config::load(&files.sources()).unwrap_err().to_string();
        assert!(
            error.contains(&format!("chmod 600 {}", key.display())),
            "{error}"
        );
        assert!(!error.contains(KEY));
    }
    let files = Files::new(MINIMAL);
    files.close_key(0o400);
    assert!(Config::load(&files.sources()).is_ok());
}

#[test]
fn the_key_itself_in_the_environment_beats_a_file_but_not_a_flag() {
    let files = Files::new(MINIMAL);
    let mut sources = files.sources();
    sources.environment = variables(&[(known::SEALING_KEY_VARIABLE, &format!(" {OTHER_KEY} \n"))]);
    assert_eq!(text(&Storage::load(&sources).unwrap().config), OTHER_KEY);
    let key_file = files
        .folder
        .path()
        .join("sealing.key")
        .display()
        .to_string();
    sources.flags = vec![Flag {
        key: known::SEALING_KEY_FILE,
        name: "--key",
        value: key_file,
    }];
    assert_eq!(text(&Storage::load(&sources).unwrap().config), KEY);
}

#[test]
fn a_sealing_key_that_is_none_is_refused_and_not_shown() {
    let files = Files::new(MINIMAL);
    std::fs::write(files.folder.path().join("sealing.key"), "hush\n").unwrap();
    let mut sources = files.sources();
    let error = Config::load(&sources).unwrap_err().to_string();
    assert!(
        error.contains("sealing.key is not a sealing key: expected"),
        "{error}"
    );
    sources.environment = variables(&[(known::SEALING_KEY_VARIABLE, "hush")]);
    let variable = Config::load(&sources).unwrap_err().to_string();
    assert!(
        variable.contains("FACTORD_SEALING_KEY: not a sealing key"),
        "{variable}"
    );
    assert!(!format!("{error}{variable}").contains("hush"));
}

#[test]
fn an_administrative_command_needs_no_public_url() {
    let files = Files::new("data = 'elsewhere'\nsealing_key_file = 'KEY'\n");
    assert_eq!(
        Storage::load(&files.sources()).unwrap().config.location,
        Location::Directory("elsewhere".into())
    );
}

#[test]
fn a_database_is_named_by_its_url_and_its_password_stands_apart() {
    let files = Files::new(&format!(
        "{MINIMAL}[database]\nurl = 'postgres://a@db.example.com/f'\nconnections = 7\n"
    ));
    let mut sources = files.sources();
    sources.environment = variables(&[("FACTORD_DATABASE_PASSWORD", "hunter2")]);
    let config = Config::load(&sources).unwrap().config;
    let Location::Postgres(settings) = &config.storage.location else {
        panic!("{config:?}")
    };
    assert_eq!(settings.connections, 7);
    assert_eq!(settings.to_string(), "the database f on db.example.com");
    assert!(!format!("{config:?}").contains("hunter2"));
    sources.flags = vec![Flag {
        key: "database.url",
        name: "--database",
        value: "sqlite:/var/lib/factord".to_owned(),
    }];
    let location = Storage::load(&sources).unwrap().config.location;
    assert_eq!(location, Location::Directory("/var/lib/factord".into()));
}

#[test]
fn a_level_may_differ_by_target() {
    use tracing::Level;

    let files = Files::new(&format!("{MINIMAL}log.level = 'factord::access=off'\n"));
    let LogLevel(targets) = Config::load(&files.sources()).unwrap().config.log.level;
    assert!(targets.would_enable("factord::net", &Level::INFO));
    assert!(!targets.would_enable("factord::access", &Level::ERROR));
}

#[test]
fn every_key_is_documented_with_its_variable() {
    let mut missing = String::new();
    for key in known::keys() {
        let row = format!("| `{key}` | `{}` |", known::variable(&key));
        if !DOCUMENTATION.contains(&row) {
            writeln!(missing, "{row}").unwrap();
        }
    }
    assert!(
        missing.is_empty(),
        "rows that are not in docs/configuration.md:\n{missing}"
    );
}

#[test]
fn every_documented_key_exists() {
    let keys = known::keys();
    let rows = DOCUMENTATION
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    for (key, _) in rows.filter(|(key, _)| !key.starts_with("FACTORD_")) {
        assert!(
            keys.contains(&key.to_owned()),
            "{key} is documented but does not exist"
        );
    }
}

#[test]
fn the_documented_file_is_the_defaults() {
    let examples: Vec<_> = DOCUMENTATION
        .split("```toml\n")
        .skip(1)
        .filter_map(|rest| rest.split("```").next())
        .collect();
    let [minimal, complete] = examples[..] else {
        panic!("two examples: {}", examples.len())
    };
    let minimal: Settings = toml::from_str(minimal).unwrap();
    let complete: Settings = toml::from_str(complete).unwrap();
    let (public_url, sealing_key_file) = (
        complete.public_url.clone(),
        complete.sealing_key_file.clone(),
    );
    assert_eq!(
        complete,
        Settings {
            public_url,
            sealing_key_file,
            ..Settings::default()
        }
    );
    assert!(minimal.contradictions().is_empty());
    let written: toml::Table = examples[1].parse().unwrap();
    let set_here = ["public_url", "sealing_key_file"];
    let without_default = |key: &str| {
        let row = format!("| `{key}` | `{}` | none |", known::variable(key));
        DOCUMENTATION.contains(&row) && examples[1].contains(&format!("# {}", last(key)))
    };
    for key in known::keys() {
        if set_here.contains(&key.as_str()) || without_default(&key) {
            continue;
        }
        let mut path = key.split('.');
        let top = path.next().and_then(|name| written.get(name));
        let value = path.fold(top, |value, name| value.and_then(|value| value.get(name)));
        let value = value.unwrap_or_else(|| panic!("{key} is not in the complete file"));
        let row = format!("| `{key}` | `{}` | `{value}` |", known::variable(&key));
        assert!(DOCUMENTATION.contains(&row), "the table does not say {row}");
    }
}

fn last(key: &str) -> &str {
    key.rsplit('.').next().unwrap_or(key)
}

/// A folder with a configuration file and a closed key file; `KEY` in the text stands for the key file's path.
pub(super) struct Files {
    folder: TempDir,
}

impl Files {
    pub(super) fn new(text: &str) -> Self {
        let files = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        let key = files.folder.path().join("sealing.key");
        std::fs::write(&key, format!("{KEY}\n")).unwrap();
        files.close_key(0o600);
        let text = text.replace("KEY", key.to_str().unwrap());
        std::fs::write(files.folder.path().join("factord.toml"), text).unwrap();
        files
    }

    pub(super) fn sources(&self) -> Sources {
        Sources {
            file: Some(self.folder.path().join("factord.toml")),
            ..Sources::default()
        }
    }

    pub(super) fn key_path(&self) -> String {
        self.folder.path().join("sealing.key").display().to_string()
    }

    /// Another file beside them.
    pub(super) fn write(&self, name: &str, text: &str, mode: u32) -> String {
        use std::os::unix::fs::PermissionsExt;

        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        path.to_str().unwrap().to_owned()
    }

    fn close_key(&self, mode: u32) -> PathBuf {
        use std::os::unix::fs::PermissionsExt;

        let key = self.folder.path().join("sealing.key");
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(mode)).unwrap();
        key
    }
}

fn text(storage: &Storage) -> String {
    storage.sealing_key.to_text().to_string()
}

pub(super) fn variables(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

/// A line of the file, how the problem begins, and what it says.
const WRONG: &[(&str, &str, &str)] = &[
    (
        "listen = 'localhost'",
        "listen (in ",
        "is not an address with a port",
    ),
    (
        "public_url = 'http://mfa.example.com'",
        "public_url (in ",
        "is not HTTPS",
    ),
    (
        "public_url = 'https://mfa.example.com/mfa'",
        "public_url (in ",
        "a host with nothing behind",
    ),
    (
        "public_url = 'https://me:pw@mfa.example.com'",
        "public_url (in ",
        "a host with nothing behind",
    ),
    (
        "service_name = 'a:b'",
        "service_name (in ",
        "1 to 64 characters",
    ),
    (
        "trusted_proxies = ['0.0.0.0/0']",
        "trusted_proxies (in ",
        "anybody",
    ),
    (
        "trusted_proxies = ['proxy']",
        "trusted_proxies (in ",
        "is not a network or an address",
    ),
    (
        "forwarded_header = 'via'",
        "forwarded_header (in ",
        "x-forwarded-for",
    ),
    (
        "redirect_origins = ['http://app.example']",
        "redirect_origins (in ",
        "is not HTTPS",
    ),
    (
        "redirect_origins = ['https://app.example/back']",
        "redirect_origins (in ",
        "nothing behind",
    ),
    (
        "rate_limit = 0",
        "rate_limit (in ",
        "0 is outside 1 to 1000000000",
    ),
    ("limits = 5", "limits (in ", "it is a table"),
    (
        "limits.max_connections = 0",
        "limits.max_connections (in ",
        "0 is outside 1 to 1000000",
    ),
    (
        "limits.idle_timeout = '75 s'",
        "limits.idle_timeout (in ",
        "a whole number from 1 to 3600",
    ),
    (
        "limits.body_bytes = -1",
        "limits.body_bytes (in ",
        "-1 is outside 4096 to 1048576",
    ),
    ("log.format = 'xml'", "log.format (in ", "json"),
    ("log.level = 'inof'", "log.level (in ", "is not a level"),
    (
        "database.url = 'mysql://a@b/c'",
        "database.url (in ",
        "it is neither",
    ),
    (
        "database.url = 'postgres://a@b/c?sslmode=disable'",
        "database.url (in ",
        "for this machine only",
    ),
    ("tls.certificate = 'a.pem'", "tls.key: ", "it is missing"),
    ("tls.key = 'a.pem'", "tls.certificate: ", "it is missing"),
    (
        "rules.disable_at_failures = 101",
        "rules.disable_at_failures: ",
        "101 is outside 10 to 100",
    ),
    (
        "rules.first_delay = 'soon'",
        "rules.first_delay (in ",
        "expected i64",
    ),
    (
        "rules.first_dely = 30",
        "rules.first_dely (in ",
        "did you mean rules.first_delay?",
    ),
    (
        "listen = '0.0.0.0:80'",
        "listen: ",
        "plain HTTP to other machines",
    ),
];
pub(super) const MINIMAL: &str =
    "public_url = 'https://mfa.example.com'\nsealing_key_file = 'KEY'\n";
const KEY: &str = "c2VjcmV0IHNlY3JldCBzZWNyZXQgc2VjcmV0IHNlY3I=";
const OTHER_KEY: &str = "b3RoZXIgb3RoZXIgb3RoZXIgb3RoZXIgb3RoZXIgb3Q=";
const DOCUMENTATION: &str = include_str!("../../../../docs/configuration.md");

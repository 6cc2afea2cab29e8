//! A factord that a test starts, and the people who use it.

use std::{
    env, fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
};

use data_encoding::BASE32_NOPAD;
use hmac::{Hmac, KeyInit, Mac};
use onelogin::{
    ApiClient, Configuration, MultiFactorAuthenticationApi, UsersApi,
    models::{
        CreateFactorRegistrationRequest, DeviceId, Status, UserId, UserRequest,
        VerifyUserRegistrationRequest,
    },
    secrecy::ExposeSecret,
};
use serde_json::{Value, json};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto};

/// A factord of this test alone. It ends when it is dropped.
pub(crate) struct Factord {
    process: Child,
    program: PathBuf,
    pub(crate) url: String,
    data: tempfile::TempDir,
}

impl Drop for Factord {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Factord {
    pub(crate) fn start() -> Self {
        let program = env::var("FACTORD").expect("FACTORD: the path of a built factord");
        // Cargo runs a test in its package's folder; the path is meant from the workspace's.
        let program = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../..")
            .join(program);
        let data = tempfile::tempdir().unwrap();
        let mut process = Command::new(&program)
            .args([
                "dev",
                "--listen",
                "127.0.0.1:0",
                "--client-id",
                "id",
                "--client-secret",
                "secret",
                "--data",
            ])
            .arg(data.path().join("data"))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap())
            .lines()
            .map_while(Result::ok);
        let url = lines.find_map(|line| {
            line.trim()
                .strip_prefix("base URL")
                .map(|url| url.trim().to_owned())
        });
        std::thread::spawn(move || lines.for_each(drop)); // it must be able to go on writing
        Self {
            process,
            program,
            url: url.unwrap(),
            data,
        }
    }

    pub(crate) fn configuration(&self) -> Configuration {
        Configuration::new(&self.url).client_credentials("id", "secret")
    }

    pub(crate) fn client(&self) -> ApiClient {
        ApiClient::new(self.configuration()).unwrap()
    }

    pub(crate) fn mfa(&self) -> MultiFactorAuthenticationApi {
        MultiFactorAuthenticationApi::new(&self.client())
    }

    /// A user with a phone number and an e-mail address of its own.
    pub(crate) async fn user(&self, name: &str) -> UserId {
        let digits: u32 = name.bytes().map(u32::from).sum();
        let request = UserRequest::new()
            .username(name)
            .email(format!("{name}@example.com"))
            .phone(format!("+1415555{digits:04}"));
        UsersApi::new(&self.client())
            .create_user(&request)
            .await
            .unwrap()
            .id
    }

    async fn dev(&self, request: reqwest::RequestBuilder) -> Value {
        let answer = request.send().await.unwrap();
        assert!(answer.status().is_success(), "{}", answer.status());
        serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap()
    }

    /// Moves the service's clock, and says what it shows then, in seconds since 1970.
    pub(crate) async fn clock(&self, advance: u64) -> u64 {
        let request = http()
            .post(format!("{}/dev/clock", self.url))
            .header("content-type", "application/json");
        let now = self
            .dev(request.body(json!({ "advance_seconds": advance }).to_string()))
            .await;
        let now: onelogin::models::Time = now["now"].as_str().unwrap().parse().unwrap();
        now.0.as_second().try_into().unwrap()
    }

    /// The code that was sent to the user last, newer than the message `after`; and that message's id.
    pub(crate) async fn code(&self, user: UserId, after: u64) -> (String, u64) {
        let message = self.message(user, "code", after).await;
        (
            message["code"].as_str().unwrap().to_owned(),
            message["id"].as_u64().unwrap(),
        )
    }

    /// The newest message of a kind to the user, newer than the message `after`, as the outbox shows it.
    pub(crate) async fn message(&self, user: UserId, kind: &str, after: u64) -> Value {
        let url = format!(
            "{}/dev/outbox?user_id={user}&kind={kind}&wait=10&after={after}",
            self.url
        );
        self.dev(http().get(url)).await[0].take()
    }

    /// What the person whose phone rings does; gives how the registration or verification stands then.
    pub(crate) async fn on_the_phone(&self, call: &Value, does: &Value) -> Value {
        let url = format!("{}/dev/voice/{}", self.url, call["id"]);
        let request = http().post(url).header("content-type", "application/json");
        self.dev(request.body(does.to_string())).await["status"].take()
    }

    /// Presses the button of a page.
    pub(crate) async fn press(&self, page: &str) {
        let form = "application/x-www-form-urlencoded";
        let request = http().post(page).header("content-type", form);
        let answer = request.send().await.unwrap();
        assert!(answer.status().is_success(), "{}", answer.status());
    }

    /// Runs a command of factord on this one's data.
    pub(crate) fn administer(&self, arguments: &[&str]) {
        let mut command = Command::new(&self.program);
        command
            .args(arguments)
            .arg("--data")
            .arg(self.data.path().join("data"));
        assert!(command.output().unwrap().status.success(), "{arguments:?}");
    }

    /// A file of this text that `administer` can be told of.
    pub(crate) fn file(&self, text: &str) -> String {
        let path = self.data.path().join("imported");
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// The example app of OneLogin Protect, with a file of its own for each user; gives what it prints.
    pub(crate) fn app(&self, user: UserId, arguments: &[&str]) -> Value {
        let app = self.program.with_file_name("examples/authenticator");
        let output = Command::new(app)
            .arg(self.data.path().join(format!("app-{user}.json")))
            .args(arguments)
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// The code of an authenticator with this secret, now (RFC 6238, SHA-1, six digits, 30 s).
    pub(crate) async fn totp(&self, secret: &str) -> String {
        let step = self.clock(0).await / 30;
        let key = BASE32_NOPAD.decode(secret.as_bytes()).unwrap();
        let mac = Hmac::<sha1::Sha1>::new_from_slice(&key)
            .unwrap()
            .chain_update(step.to_be_bytes())
            .finalize()
            .into_bytes();
        let offset = usize::from(mac[19] & 15);
        let number = u32::from_be_bytes(mac[offset..offset + 4].try_into().unwrap()) & 0x7fff_ffff;
        format!("{:06}", number % 1_000_000)
    }

    /// Enrols an authenticator, and says its device and secret.
    pub(crate) async fn enrol_totp(&self, user: UserId) -> (DeviceId, String) {
        let api = self.mfa();
        let begun = api
            .create_factor_registration(user, &CreateFactorRegistrationRequest::new(58_957, "App"))
            .await
            .unwrap();
        let secret = begun
            .factor_data
            .unwrap()
            .verification_token
            .unwrap()
            .expose_secret()
            .to_owned();
        let code = self.totp(&secret).await;
        let request = VerifyUserRegistrationRequest::new(code);
        let result = api
            .verify_user_registration(user, &begun.id, &request)
            .await
            .unwrap();
        assert_eq!(result.status, Status::Accepted);
        (result.device_id.unwrap(), secret)
    }
}

fn http() -> reqwest::Client {
    // The client under test has set up its own TLS; this one speaks to loopback only.
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls())
        .build()
        .unwrap()
}

fn tls() -> ClientConfig {
    let provider = Arc::new(crypto::ring::default_provider());
    ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth()
}

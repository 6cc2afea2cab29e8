//! TLS against a server with a certificate of a private authority: trusted when it is named, refused when it is not.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::{sync::Arc, time::Duration};

use onelogin::{ApiClient, Configuration, Error, MultiFactorAuthenticationApi};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig, crypto,
        pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
    },
};

/// A server for `localhost` that answers everything with an empty list, its port, and its authority's certificate.
async fn start() -> (u16, String) {
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(["localhost".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &authority).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der())),
        )
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut stream) = acceptor.accept(stream).await else {
                    return;
                };
                let mut request = [0; 4096];
                while stream
                    .read(&mut request)
                    .await
                    .is_ok_and(|length| length > 0)
                {
                    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]";
                    if stream.write_all(answer).await.is_err() || stream.flush().await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    (port, authority.pem())
}

fn api(configuration: Configuration) -> MultiFactorAuthenticationApi {
    let configuration = configuration
        .access_token("t")
        .max_retries(0)
        .timeout(Duration::from_secs(5));
    MultiFactorAuthenticationApi::new(&ApiClient::new(configuration).unwrap())
}

#[tokio::test]
async fn a_private_authority_is_trusted_when_it_is_named_and_only_then() {
    let (port, authority) = start().await;
    let host = format!("https://localhost:{port}");
    let trusting = api(Configuration::new(&host).root_certificates(authority.clone()));
    assert!(trusting.get_auth_factors(56).await.unwrap().is_empty());
    let strict = api(Configuration::new(&host));
    let error = strict.get_auth_factors(56).await.unwrap_err();
    assert!(
        matches!(error, Error::Transport { unsent: true, .. }),
        "{error:?}"
    );
    let other_name =
        api(Configuration::new(format!("https://127.0.0.1:{port}")).root_certificates(authority));
    assert!(matches!(
        other_name.get_auth_factors(56).await,
        Err(Error::Transport { unsent: true, .. })
    ));
}

#[test]
fn what_holds_no_certificate_is_refused_at_once() {
    for pem in [
        "",
        "not a certificate",
        "-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----\n",
    ] {
        let outcome =
            ApiClient::new(Configuration::new("https://example.com").root_certificates(pem));
        assert!(matches!(outcome, Err(Error::Configuration(_))), "{pem:?}");
    }
}

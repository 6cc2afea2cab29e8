//! A software authenticator for tests, written from the specification (WebAuthn Level 3, sections 6.1, 6.5 and 8.2): it
//! shares no code with what checks it, and signs by another library.

use std::rc::Rc;

use data_encoding::BASE64URL_NOPAD;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, CustomExtension, DnType, IsCa, KeyPair,
    KeyUsagePurpose, PublicKeyData, SigningKey,
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// A key, and the browser that it is used in. Tests change what they want to be wrong.
pub(crate) struct SoftKey {
    key: KeyPair,
    pub(crate) id: Vec<u8>,
    pub(crate) counter: u32,
    /// Whether it counts its uses; many do not.
    pub(crate) counts: bool,
    pub(crate) origin: String,
    pub(crate) rp_id: String,
    pub(crate) verifies_user: bool,
    pub(crate) cross_origin: bool,
    pub(crate) attests: Attests,
}

/// How a new key is attested.
pub(crate) enum Attests {
    None,
    /// By itself.
    Itself,
    /// By its maker's certificate.
    Maker(Box<Maker>),
}

/// A maker of authenticators, and the certificate of one model.
pub(crate) struct Maker {
    authority: Rc<Authority>,
    certificate: Vec<u8>,
    key: KeyPair,
    aaguid: [u8; 16],
}

type Authority = CertifiedIssuer<'static, KeyPair>;

impl SoftKey {
    /// A new key in a browser on a page of `origin`.
    pub(crate) fn new(origin: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        Self {
            id: Sha256::digest(key.der_bytes()).to_vec(),
            key,
            counter: 0,
            counts: true,
            origin: origin.to_owned(),
            rp_id: url::Url::parse(origin)
                .unwrap()
                .host_str()
                .unwrap()
                .to_owned(),
            verifies_user: true,
            cross_origin: false,
            attests: Attests::None,
        }
    }

    /// What `navigator.credentials.create` gives for these options, as JSON.
    pub(crate) fn create(&mut self, options: &Value) -> Value {
        let client = self.client_data("webauthn.create", options);
        let aaguid = match &self.attests {
            Attests::Maker(maker) => maker.aaguid,
            _ => [0; 16],
        };
        let mut data = self.authenticator_data(ATTESTED);
        data.extend(aaguid);
        data.extend(u16::try_from(self.id.len()).unwrap().to_be_bytes());
        data.extend(&self.id);
        data.extend(self.cose_key());

        let signed = [&data[..], &Sha256::digest(&client)].concat();
        let (format, statement) = match &self.attests {
            Attests::None => ("none", map(&[])),
            Attests::Itself => {
                let signature = bytes(&self.key.sign(&signed).unwrap());
                (
                    "packed",
                    map(&[(text("alg"), ES256.to_vec()), (text("sig"), signature)]),
                )
            }
            Attests::Maker(maker) => {
                let signature = bytes(&maker.key.sign(&signed).unwrap());
                let chain = [vec![ARRAY_OF_ONE], bytes(&maker.certificate)].concat();
                let fields = [
                    (text("alg"), ES256.to_vec()),
                    (text("sig"), signature),
                    (text("x5c"), chain),
                ];
                ("packed", map(&fields))
            }
        };
        let object = map(&[
            (text("fmt"), text(format)),
            (text("attStmt"), statement),
            (text("authData"), bytes(&data)),
        ]);
        json!({
            "id": encode(&self.id), "rawId": encode(&self.id), "type": "public-key", "clientExtensionResults": {},
            "authenticatorAttachment": "cross-platform",
            "response": {"clientDataJSON": encode(&client), "attestationObject": encode(&object), "transports": ["usb"]},
        })
    }

    /// What `navigator.credentials.get` gives for these options, as JSON.
    pub(crate) fn get(&mut self, options: &Value) -> Value {
        self.counter += u32::from(self.counts);
        let client = self.client_data("webauthn.get", options);
        let data = self.authenticator_data(0);
        let signature = self
            .key
            .sign(&[&data[..], &Sha256::digest(&client)].concat())
            .unwrap();
        json!({
            "id": encode(&self.id), "rawId": encode(&self.id), "type": "public-key", "clientExtensionResults": {},
            "response": {
                "clientDataJSON": encode(&client), "authenticatorData": encode(&data), "signature": encode(&signature),
                "userHandle": null,
            },
        })
    }

    fn client_data(&self, kind: &str, options: &Value) -> Vec<u8> {
        let client = json!({
            "type": kind, "challenge": options["challenge"], "origin": self.origin, "crossOrigin": self.cross_origin,
        });
        client.to_string().into_bytes()
    }

    fn authenticator_data(&self, flags: u8) -> Vec<u8> {
        let verified = if self.verifies_user { VERIFIED } else { 0 };
        let mut data = Sha256::digest(self.rp_id.as_bytes()).to_vec();
        data.push(PRESENT | verified | flags);
        data.extend(self.counter.to_be_bytes());
        data
    }

    /// The public key as COSE writes it: EC2, ES256, P-256, x and y.
    fn cose_key(&self) -> Vec<u8> {
        let point = self.key.der_bytes();
        let (x, y) = point[1..].split_at(32);
        map(&[
            (vec![1], vec![2]),
            (vec![3], ES256.to_vec()),
            (vec![0x20], vec![1]),
            (vec![0x21], bytes(x)),
            (vec![0x22], bytes(y)),
        ])
    }
}

impl Maker {
    /// A maker, and one of its models.
    pub(crate) fn of(aaguid: [u8; 16]) -> Self {
        let mut authority = CertificateParams::default();
        authority
            .distinguished_name
            .push(DnType::CommonName, "Example Keys Root");
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        authority.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap());
        Self::by(Rc::new(authority.unwrap()), aaguid)
    }

    /// Another model of the same maker.
    pub(crate) fn model(&self, aaguid: [u8; 16]) -> Self {
        Self::by(Rc::clone(&self.authority), aaguid)
    }

    fn by(authority: Rc<Authority>, aaguid: [u8; 16]) -> Self {
        // Section 8.2.1: what the certificate of an authenticator must be.
        let mut model = CertificateParams::default();
        for (field, value) in [
            (DnType::CountryName, "SE"),
            (DnType::OrganizationName, "Example Keys"),
            (DnType::OrganizationalUnitName, "Authenticator Attestation"),
            (DnType::CommonName, "Example Key One"),
        ] {
            model.distinguished_name.push(field, value);
        }
        model.is_ca = IsCa::ExplicitNoCa;
        let octets = [&[4, 16][..], &aaguid].concat();
        model
            .custom_extensions
            .push(CustomExtension::from_oid_content(AAGUID_OID, octets));
        let key = KeyPair::generate().unwrap();
        let certificate = model.signed_by(&key, &authority).unwrap().der().to_vec();
        Self {
            authority,
            certificate,
            key,
            aaguid,
        }
    }

    /// The certificate of its authority.
    pub(crate) fn root(&self) -> String {
        self.authority.pem()
    }
}

fn encode(bytes: &[u8]) -> String {
    BASE64URL_NOPAD.encode(bytes)
}

/// A CBOR map (RFC 8949) of fewer than 24 pairs.
fn map(pairs: &[(Vec<u8>, Vec<u8>)]) -> Vec<u8> {
    let mut map = vec![0xA0 + u8::try_from(pairs.len()).unwrap()];
    for (key, value) in pairs {
        map.extend(key);
        map.extend(value);
    }
    map
}

/// A CBOR text of fewer than 24 bytes.
fn text(text: &str) -> Vec<u8> {
    [&[0x60 + u8::try_from(text.len()).unwrap()], text.as_bytes()].concat()
}

/// CBOR bytes, up to 65,535.
fn bytes(bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).unwrap().to_be_bytes();
    [&[0x59], &length[..], bytes].concat()
}

const PRESENT: u8 = 0x01;
const VERIFIED: u8 = 0x04;
const ATTESTED: u8 = 0x40;
/// -7 in CBOR.
const ES256: [u8; 1] = [0x26];
const ARRAY_OF_ONE: u8 = 0x81;
const AAGUID_OID: &[u64] = &[1, 3, 6, 1, 4, 1, 45724, 1, 1, 4];

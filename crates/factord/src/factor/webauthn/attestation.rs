//! Which authenticators are taken: those that prove by their maker's certificate that they are of an allowed model.

use std::collections::BTreeMap;

use uuid::Uuid;
use webauthn_rs_core::proto::{AttestationCaList, AttestationCaListBuilder};

/// The authorities in `pem`, one certificate or more; only models in `aaguids` are taken from them, or all if that is
/// empty.
///
/// # Errors
/// What is wrong with the certificates.
pub fn authorities(pem: &str, aaguids: &[Uuid]) -> Result<AttestationCaList, &'static str> {
    let mut list = AttestationCaList::default();
    for certificate in pem.split_inclusive(END).filter(|part| part.contains(END)) {
        let certificate = certificate.trim().as_bytes();
        list.union(&one(certificate, aaguids).ok_or("it holds a certificate that cannot be read")?);
    }
    if list.is_empty() {
        return Err("it holds no certificate in PEM form");
    }
    Ok(list)
}

fn one(certificate: &[u8], aaguids: &[Uuid]) -> Option<AttestationCaList> {
    if aaguids.is_empty() {
        return AttestationCaList::try_from(certificate).ok();
    }
    let mut builder = AttestationCaListBuilder::new();
    for aaguid in aaguids {
        let name = aaguid.to_string();
        builder
            .insert_device_pem(certificate, *aaguid, name, BTreeMap::new())
            .ok()?;
    }
    Some(builder.build())
}

const END: &str = "-----END CERTIFICATE-----";

//! A place in the list of users, as a client hands it back. It means nothing to a client but is no secret.

use std::fmt;
use std::str::FromStr;

use data_encoding::BASE64URL_NOPAD;

use crate::mfa::ids::{NotAnId, UserId};

/// Where a page begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cursor {
    /// Behind a user, whatever was added or deleted before; and the number that this page has.
    After { id: UserId, page: u32 },
    /// At a page by its number.
    Page(u32),
}

impl Cursor {
    /// The number of the page.
    pub(super) const fn page(self) -> u32 {
        match self {
            Self::After { page, .. } | Self::Page(page) => page,
        }
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::After { id, page } => format!("{page}:{id}"),
            Self::Page(page) => page.to_string(),
        };
        f.write_str(&BASE64URL_NOPAD.encode(text.as_bytes()))
    }
}

impl FromStr for Cursor {
    type Err = NotAnId;

    fn from_str(text: &str) -> Result<Self, NotAnId> {
        let bytes = BASE64URL_NOPAD
            .decode(text.as_bytes())
            .map_err(|_| NotAnId)?;
        let text = std::str::from_utf8(&bytes).map_err(|_| NotAnId)?;
        let page = |text: &str| text.parse().ok().filter(|page| *page > 0).ok_or(NotAnId);
        match text.split_once(':') {
            Some((number, id)) => Ok(Self::After {
                id: id.parse()?,
                page: page(number)?,
            }),
            None => page(text).map(Self::Page),
        }
    }
}

#[cfg(test)]
mod unit_tests {
    use super::*;

    #[test]
    fn a_cursor_reads_back_and_nothing_else_is_one() {
        let id = UserId::new(7).unwrap();
        for cursor in [Cursor::After { id, page: 3 }, Cursor::Page(1)] {
            assert_eq!(cursor.to_string().parse(), Ok(cursor));
        }
        for wrong in [
            "",
            "nonsense",
            "!",
            &BASE64URL_NOPAD.encode(b"0"),
            &BASE64URL_NOPAD.encode(b"1:0"),
        ] {
            assert_eq!(wrong.parse::<Cursor>(), Err(NotAnId), "{wrong}");
        }
    }
}

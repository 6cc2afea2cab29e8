//! Who reads a page: the person to whom its link leads, in their language, or whoever has come by another link, in the
//! browser's.

use http::HeaderMap;
use http::header::ACCEPT_LANGUAGE;

use super::linked;
use super::texts::PageTexts;
use crate::crypto::tokens::TokenHash;
use crate::http::App;
use crate::http::error::Error;
use crate::messages::language::Language;
use crate::mfa::Core;
use crate::mfa::user::User;

/// What a page is written with.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a> {
    /// Who asks.
    pub(super) service: &'a str,
    /// The language's tag (BCP 47).
    pub(super) language: &'static str,
    pub(super) texts: &'static PageTexts,
}

/// Who reads the page behind a link, and the user if it leads to one.
pub(super) async fn visit<'a>(
    app: &App,
    core: &'a Core,
    link: Option<TokenHash>,
    headers: &HeaderMap,
) -> Result<(Reader<'a>, Option<User>), Error> {
    let user = linked(app, link).await?;
    let language = match &user {
        Some(user) => core.language(&user.profile),
        None => of_browser(headers).unwrap_or(core.texts.default_language),
    };
    let reader = Reader {
        service: &core.service_name,
        language: language.tag(),
        texts: PageTexts::of(language),
    };
    Ok((reader, user))
}

fn of_browser(headers: &HeaderMap) -> Option<Language> {
    Language::accepted(headers.get(ACCEPT_LANGUAGE)?.to_str().ok()?)
}

//! What the person is asked, by whom and when: a sentence, whose words stand in another order in every language.

use askama::Template;
use askama::filters::HtmlSafe;

use super::reader::Reader;
use crate::clock::Timestamp;
use crate::http::wire;

/// A sentence of the page's texts with its values.
#[derive(Template)]
#[template(path = "asked.html")]
pub(super) struct Asked<'a> {
    sentence: &'static str,
    service: &'a str,
    name: Option<&'a str>,
    time: String,
}

impl<'a> Asked<'a> {
    pub(super) fn new(
        reader: Reader<'a>,
        sentence: &'static str,
        name: Option<&'a str>,
        at: Timestamp,
    ) -> Self {
        Self {
            sentence,
            service: reader.service,
            name,
            time: wire::time(at).map_or_else(String::new, |time| time.to_string()),
        }
    }

    fn pieces(&self) -> impl Iterator<Item = Piece> {
        pieces(self.sentence)
    }
}

/// A template, which has escaped what is in it.
impl HtmlSafe for Asked<'_> {}

/// A piece of a sentence.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece {
    Words(&'static str),
    Service,
    Name,
    Time,
}

/// The sentence is split before the values are put in, so nobody's name is taken for one of these.
pub(super) fn pieces(sentence: &'static str) -> impl Iterator<Item = Piece> {
    sentence.split(['{', '}']).map(|piece| match piece {
        "service" => Piece::Service,
        "name" => Piece::Name,
        "time" => Piece::Time,
        words => Piece::Words(words),
    })
}

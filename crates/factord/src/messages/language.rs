//! The languages that messages are written in.

use crate::mfa::user::Profile;

/// A language that there are templates for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Language {
    /// English.
    #[default]
    English,
    /// German.
    German,
    /// French.
    French,
    /// Spanish.
    Spanish,
    /// Japanese.
    Japanese,
}

impl Language {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::English,
        Self::German,
        Self::French,
        Self::Spanish,
        Self::Japanese,
    ];

    /// The subtag (ISO 639-1), which is the name of its folder of templates.
    pub const fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::German => "de",
            Self::French => "fr",
            Self::Spanish => "es",
            Self::Japanese => "ja",
        }
    }

    /// The tag with a region (BCP 47), as a voice that reads it aloud wants it.
    pub const fn voice_tag(self) -> &'static str {
        match self {
            Self::English => "en-US",
            Self::German => "de-DE",
            Self::French => "fr-FR",
            Self::Spanish => "es-ES",
            Self::Japanese => "ja-JP",
        }
    }

    /// The language of a locale, whatever its region: `de`, `de-AT` and `de_AT.UTF-8` are German.
    pub fn of_locale(locale: &str) -> Option<Self> {
        let language = locale
            .trim()
            .split(['-', '_', '.'])
            .next()
            .unwrap_or_default();
        Self::ALL
            .into_iter()
            .find(|it| it.tag().eq_ignore_ascii_case(language))
    }

    /// The language that a browser asks for most (`Accept-Language`, RFC 9110 §12.5.4), of those that there are.
    pub fn accepted(header: &str) -> Option<Self> {
        let asked = header.split(',').filter_map(|range| {
            let (locale, weight) = range.split_once(';').unwrap_or((range, "q=1"));
            let quality: f32 = weight.trim().strip_prefix("q=")?.parse().ok()?;
            (quality > 0.0).then_some((Self::of_locale(locale)?, quality))
        });
        // Of those that are asked for alike, the first.
        let most = asked.min_by(|(_, one), (_, other)| other.total_cmp(one));
        most.map(|(language, _)| language)
    }

    /// The language that the user prefers (`preferred_locale_code` of the users API), if there are templates for it.
    pub fn preferred_by(profile: &Profile) -> Option<Self> {
        let locale = profile.attributes.get("preferred_locale_code")?;
        Self::of_locale(locale.as_str()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_browser_gets_the_language_that_it_asks_for_most_and_that_there_is() {
        for (header, language) in [
            ("fr", Some(Language::French)),
            ("de-AT,de;q=0.9,en;q=0.8", Some(Language::German)),
            ("en;q=0.5, ja ;q=0.7, it", Some(Language::Japanese)),
            ("en; q=0.5, ja; q=0.7", Some(Language::Japanese)),
            ("es,fr", Some(Language::Spanish)),
            ("it, *;q=0.5", None),
            ("de;q=0, en;q=0.1", Some(Language::English)),
            (
                "de;q=, fr;q=NaN, es;q=-1, ja;q=0.001",
                Some(Language::Japanese),
            ),
            ("", None),
            (",;q=1,;;", None),
        ] {
            assert_eq!(Language::accepted(header), language, "{header}");
        }
    }

    #[test]
    fn a_locale_says_its_language_whatever_its_region_and_spelling() {
        for locale in [
            "de",
            "de-AT",
            "de_AT",
            "DE",
            "de-Latn-DE",
            " de ",
            "de_DE.UTF-8",
        ] {
            assert_eq!(
                Language::of_locale(locale),
                Some(Language::German),
                "{locale}"
            );
        }
        for locale in ["", "deu", "dea-AT", "it", "-de", "zh-Hant", "日本語"] {
            assert_eq!(Language::of_locale(locale), None, "{locale}");
        }
        for language in Language::ALL {
            assert_eq!(Language::of_locale(language.voice_tag()), Some(language));
        }
    }
}

//! GET /dev/messages: every message in every language, with example values and the templates that are in use.

use askama::Template;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::response::{Html, IntoResponse, Response};
use http::HeaderValue;
use http::header::{CONTENT_SECURITY_POLICY, REFERRER_POLICY};

use super::page::{STYLE, page};
use crate::delivery::message::Channel;
use crate::http::App;
use crate::http::error::Error;
use crate::http::openapi::{DevMessages, DevPlain};
use crate::messages::kind::{Kind, Part};
use crate::messages::language::Language;
use crate::messages::{CallLines, Text, examples, sms};
use crate::mfa::Core;

/// The messages as a page
#[utoipa::path(
    get,
    path = "/dev/messages",
    operation_id = "dev_messages",
    tag = "Development",
    responses((status = 200, description = "The page", body = String, content_type = "text/html"), DevPlain),
)]
pub(in crate::http) async fn index(State(app): State<App>) -> Result<Response, Error> {
    let core = app.service.core();
    let kinds = Kind::ALL.into_iter().map(|kind| {
        let lines = Language::ALL.map(|language| (language.tag(), title(&core, language, kind)));
        (kind.name(), lines)
    });
    page(&Index {
        style: STYLE,
        kinds: kinds.collect(),
    })
}

/// A message as a page
#[utoipa::path(
    get,
    path = "/dev/messages/{language}/{kind}",
    operation_id = "dev_message",
    tag = "Development",
    params(
        ("language" = String, Path, description = "`en`, `de`, `fr`, `es` or `ja`", example = "en"),
        ("kind" = String, Path, description = "The name of its templates", example = "code"),
    ),
    responses((status = 200, description = "The page", body = String, content_type = "text/html"), DevMessages),
)]
pub(in crate::http) async fn one(
    State(app): State<App>,
    path: Result<Path<(String, String)>, PathRejection>,
) -> Result<Response, Error> {
    let (language, kind) = named(path)?;
    let core = app.service.core();
    page(&One {
        style: STYLE,
        language: language.tag(),
        kind: kind.name(),
        examples: examples_of(&core, language, kind),
        html: kind.parts().contains(&Part::Html),
        variables: Part::ALL
            .into_iter()
            .filter(|part| kind.parts().contains(part))
            .map(|part| (part.ending(), kind.variables(part).join(", ")))
            .collect(),
    })
}

/// The HTML of a message
///
/// As the e-mail has it, in a sandbox: it runs nothing, and loads nothing but pictures that are in it.
#[utoipa::path(
    get,
    path = "/dev/messages/{language}/{kind}/html",
    operation_id = "dev_message_html",
    tag = "Development",
    params(
        ("language" = String, Path, description = "`en`, `de`, `fr`, `es` or `ja`", example = "en"),
        ("kind" = String, Path, description = "The name of its templates", example = "code"),
    ),
    responses((status = 200, description = "The HTML", body = String, content_type = "text/html"), DevMessages),
)]
pub(in crate::http) async fn html(
    State(app): State<App>,
    path: Result<Path<(String, String)>, PathRejection>,
) -> Result<Response, Error> {
    let (language, kind) = named(path)?;
    let core = app.service.core();
    let content = examples::contents(kind).into_iter().next();
    let text = content.and_then(|content| {
        let text = core
            .texts
            .write(Channel::Email, language, &core.service_name, &content);
        text.html
    });
    let headers = [
        (CONTENT_SECURITY_POLICY, HeaderValue::from_static(SANDBOX)),
        (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    ];
    Ok((headers, Html(text.ok_or(Error::NoSuchPath)?)).into_response())
}

fn named(path: Result<Path<(String, String)>, PathRejection>) -> Result<(Language, Kind), Error> {
    let Path((language, kind)) = path.map_err(|_| Error::NoSuchPath)?;
    let language = Language::ALL.into_iter().find(|it| it.tag() == language);
    let kind = Kind::ALL.into_iter().find(|it| it.name() == kind);
    language.zip(kind).ok_or(Error::NoSuchPath)
}

/// A text with what it is: the channel, and what an SMS costs.
struct Example {
    title: String,
    subject: Option<String>,
    body: String,
}

fn examples_of(core: &Core, language: Language, kind: Kind) -> Vec<Example> {
    let contents = examples::contents(kind);
    if contents.is_empty() {
        return vec![Example {
            title: "voice".to_owned(),
            subject: None,
            body: spoken(core.texts.call_lines(language, &core.service_name), kind),
        }];
    }
    let channels: &[Channel] = match kind {
        Kind::Push => &[Channel::Push],
        Kind::Link => &[Channel::Email],
        _ => &[Channel::Email, Channel::Sms],
    };
    let written = contents.iter().flat_map(|content| {
        channels.iter().map(|channel| {
            let service = &core.service_name;
            let text = core.texts.write(*channel, language, service, content);
            (*channel, text)
        })
    });
    written
        .map(|(channel, text)| Example::of(channel, text))
        .collect()
}

impl Example {
    fn of(channel: Channel, text: Text) -> Self {
        let title = match (channel, sms::segments(&text.body)) {
            (Channel::Sms, 1) => {
                format!("sms, {} characters, one segment", text.body.chars().count())
            }
            (Channel::Sms, segments) => {
                format!(
                    "sms, {} characters, {segments} segments",
                    text.body.chars().count()
                )
            }
            _ => channel.as_str().to_owned(),
        };
        Self {
            title,
            subject: text.subject,
            body: text.body,
        }
    }
}

fn spoken(lines: CallLines, kind: Kind) -> String {
    match kind {
        Kind::CallWrong => lines.wrong,
        Kind::CallSuccess => lines.success,
        Kind::CallExpired => lines.expired,
        Kind::CallGoodbye => lines.goodbye,
        _ => lines.prompt,
    }
}

/// One line that shows what a message is about.
fn title(core: &Core, language: Language, kind: Kind) -> String {
    let first = examples_of(core, language, kind).into_iter().next();
    first.map_or_else(String::new, |it| it.subject.unwrap_or(it.body))
}

#[derive(Template)]
#[template(
    ext = "html",
    source = r#"<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Messages · factord dev</title>
<style>{{ style|safe }}</style>
<h1>Messages</h1>
<p>Every message with example values, by the templates that are in use.</p>
{% for (kind, lines) in kinds %}
<article>
<h2>{{ kind }}</h2>
<ul>
{% for (language, line) in lines %}<li>{{ language }}: <a lang="{{ language }}" href="/dev/messages/{{ language }}/{{ kind }}">{{ line }}</a></li>
{% endfor %}</ul>
</article>
{% endfor %}
</html>
"#
)]
struct Index {
    style: &'static str,
    kinds: Vec<(&'static str, [(&'static str, String); 5])>,
}

#[derive(Template)]
#[template(
    ext = "html",
    source = r#"<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{{ language }}/{{ kind }} · factord dev</title>
<style>{{ style|safe }}</style>
<h1>{{ language }}/{{ kind }}</h1>
<p><a href="/dev/messages">All messages</a></p>
{% for example in examples %}
<article>
<h2>{{ example.title }}</h2>
{% if let Some(subject) = example.subject %}<p lang="{{ language }}"><b>{{ subject }}</b></p>{% endif %}
<pre lang="{{ language }}">{{ example.body }}</pre>
</article>
{% endfor %}
{% if html %}<article>
<h2>email, HTML</h2>
<iframe sandbox title="HTML" src="/dev/messages/{{ language }}/{{ kind }}/html"></iframe>
</article>
{% endif %}<article>
<h2>Files and their variables</h2>
<ul>
{% for (ending, names) in variables %}<li>{{ language }}/{{ kind }}.{{ ending }}: {{ names }}</li>
{% endfor %}</ul>
</article>
</html>
"#
)]
struct One {
    style: &'static str,
    language: &'static str,
    kind: &'static str,
    examples: Vec<Example>,
    html: bool,
    variables: Vec<(&'static str, String)>,
}

/// For an e-mail's HTML, whose styles stand in it: it is shown, and nothing else.
const SANDBOX: &str = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; \
                       form-action 'none'; frame-ancestors 'self'";

#[cfg(test)]
mod tests {
    use crate::http::tests::Server;
    use crate::messages::kind::{Kind, Part};
    use crate::messages::language::Language;

    #[tokio::test]
    async fn every_message_in_every_language_has_its_page_and_the_index_leads_there() {
        let server = Server::new();
        let stranger = server.client_by("");
        let index = stranger.get("/dev/messages").await;
        assert_eq!(index.status, 200);
        insta::assert_snapshot!(index.header("content-security-policy").unwrap());
        for language in Language::ALL {
            for kind in Kind::ALL {
                let path = format!("/dev/messages/{}/{}", language.tag(), kind.name());
                assert!(index.text.contains(&format!("href=\"{path}\"")), "{path}");
                let one = stranger.get(&path).await;
                assert_eq!(one.status, 200, "{path}");
                let html = stranger.get(&format!("{path}/html")).await;
                let has_html = kind.parts().contains(&Part::Html);
                assert_eq!(one.text.contains("<iframe sandbox "), has_html, "{path}");
                assert_eq!(html.status, if has_html { 200 } else { 404 }, "{path}");
            }
        }
    }

    #[tokio::test]
    async fn a_preview_of_html_is_in_a_sandbox_and_only_this_server_frames_it() {
        let server = Server::new();
        let html = server.client_by("").get("/dev/messages/en/code/html").await;
        assert_eq!(
            html.header("content-type"),
            Some("text/html; charset=utf-8")
        );
        insta::assert_snapshot!(html.header("content-security-policy").unwrap());
        assert!(html.text.contains("<b>123456</b>"));
    }

    #[tokio::test]
    async fn the_templates_in_use_and_what_the_service_is_called_are_shown_as_text() {
        let server = Server::with_core(|core| {
            core.service_name = "<b>A & B</b>".to_owned();
            core.texts.sms_domain = Some("login.example.com".to_owned());
        });
        let stranger = server.client_by("");
        let page = stranger.get("/dev/messages/en/code").await.text;
        assert!(
            page.contains("&#60;b&#62;A &#38; B&#60;/b&#62; code") && !page.contains("<b>A"),
            "{page}"
        );
        assert!(page.contains("@login.example.com #123456"), "{page}");
        assert!(page.contains("one segment"), "{page}");
        let html = stranger.get("/dev/messages/en/code/html").await.text;
        assert!(
            html.contains("&lt;b&gt;A &amp; B&lt;/b&gt;") && !html.contains("<b>A"),
            "{html}"
        );
    }

    #[tokio::test]
    async fn what_is_no_message_is_not_there() {
        let server = Server::new();
        let stranger = server.client_by("");
        for path in [
            "xx/code",
            "en/xx",
            "en/code.txt",
            "en/CODE",
            "%ff/code",
            "en/%2e%2e",
            "en/code/xx",
        ] {
            let refused = stranger.get(&format!("/dev/messages/{path}")).await;
            assert_eq!(
                (refused.status, &refused.body["name"]),
                (404, &"NotFound".into()),
                "{path}"
            );
        }
    }
}

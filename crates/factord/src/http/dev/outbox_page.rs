//! GET /dev/outbox.html: the outbox, for people. It runs nothing and loads nothing.

use askama::Template;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::HeaderValue;
use http::header::REFRESH;
use serde::Deserialize;

use super::outbox::{MOST, OutboxMessage};
use super::page::{STYLE, page};
use crate::http::App;
use crate::http::error::Error;
use crate::http::openapi::DevReading;
use crate::http::query;
use crate::store::OutboxFilter;

/// The parameters.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct Query {
    /// Only messages to this user.
    user_id: Option<String>,
}

/// The outbox as a page
#[utoipa::path(
    get,
    path = "/dev/outbox.html",
    operation_id = "dev_outbox_page",
    tag = "Development",
    params(Query),
    responses((status = 200, description = "The page", body = String, content_type = "text/html"), DevReading),
)]
pub(in crate::http) async fn handler(
    State(app): State<App>,
    request: Request,
) -> Result<Response, Error> {
    let query: Query = query::parse(request.uri())?;
    let user = query::value("user_id", query.user_id.as_deref())?;
    let filter = OutboxFilter {
        user,
        after: None,
        limit: MOST,
    };
    let messages = app.service.store().outbox(filter).await?;
    let shown = page(&Page {
        style: STYLE,
        messages: messages.into_iter().map(OutboxMessage::of).collect(),
    })?;
    Ok(([(REFRESH, HeaderValue::from_static("5"))], shown).into_response())
}

#[derive(Template)]
#[template(
    ext = "html",
    source = r#"<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Outbox · factord dev</title>
<style>{{ style|safe }}</style>
<h1>Outbox</h1>
{% if messages.is_empty() %}<p>No messages yet.</p>{% endif %}
{% for message in messages %}
<article>
<h2>{{ message.kind }} by {{ message.channel }} to {{ message.to }}{% if let Some(code) = message.code %} · <code>{{ code }}</code>{% endif %}</h2>
<p>№ {{ message.id }}, <time>{{ message.at }}</time></p>
{% if let Some(subject) = message.subject %}<p><b>{{ subject }}</b></p>{% endif %}
<pre>{{ message.body }}</pre>
{% if let Some(link) = message.link %}<p><a href="{{ link }}" rel="noreferrer">{{ link }}</a></p>{% endif %}
</article>
{% endfor %}
</html>
"#
)]
struct Page {
    style: &'static str,
    messages: Vec<OutboxMessage>,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::http::tests::{SMS, Server};

    #[tokio::test]
    async fn the_page_shows_each_message_as_text_and_runs_nothing() {
        let server = Server::new();
        let admin = server.admin().await;
        let person = admin.person().await;
        let empty = admin.get("/dev/outbox.html").await;
        assert!(empty.text.contains("No messages yet."));
        let body = json!({"factor_id": SMS, "display_name": "x", "custom_message": "<img src=x onerror=alert(1)> {{otp_code}}"});
        person.post("/registrations", body).await;
        let code = person.code().await;
        let page = admin.get("/dev/outbox.html?user_id=1").await;
        assert_eq!(
            page.header("content-type"),
            Some("text/html; charset=utf-8")
        );
        assert!(
            page.text.contains(&format!("<code>{code}</code>"))
                && page.text.contains("+14155550000"),
            "{}",
            page.text
        );
        assert!(
            !page.text.contains("<img") && page.text.contains("&#60;img src=x"),
            "{}",
            page.text
        );
        insta::assert_snapshot!(page.header("content-security-policy").unwrap());
        admin
            .get("/dev/outbox.html?user_id=x")
            .await
            .invalid(&["user_id"]);
    }
}

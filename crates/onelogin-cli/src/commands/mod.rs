//! What each verb does, one file a verb.

mod auth;
mod delete;
mod enroll;
mod generate;
mod list;
mod poll;
mod token;
mod users;
mod verify;

use onelogin::{ApiClient, MultiFactorAuthenticationApi, UserQuery, UsersApi, models::UserId};

use crate::{
    arguments::{Cli, Command, User},
    exit::{Exit, Failure, Outcome},
    output::Output,
    profile,
};

/// A connection, and where its results go.
#[derive(Debug)]
pub(crate) struct Session {
    /// The base URL, without a slash at its end.
    host: String,
    client: ApiClient,
    output: Output,
}

/// Does what was asked.
pub(crate) async fn run(cli: Cli) -> Outcome<Exit> {
    let command = match cli.command {
        Command::Completions { shell } => return generate::completions(shell),
        Command::Man { dir } => return generate::man(dir.as_deref()),
        command => command,
    };
    let settings = profile::settings(&cli.connection)?;
    let output = Output {
        format: cli.output.or(settings.format).unwrap_or_default(),
    };
    let session = Session {
        host: settings.host.trim_end_matches('/').to_owned(),
        client: ApiClient::new(settings.configuration)?,
        output,
    };
    match command {
        Command::Factors(user) => list::factors(&session, &user).await,
        Command::Devices(user) => list::devices(&session, &user).await,
        Command::Enroll(arguments) => enroll::run(&session, arguments).await,
        Command::Verify(arguments) => verify::run(&session, arguments).await,
        Command::Poll(arguments) => poll::run(&session, arguments).await,
        Command::Delete(arguments) => delete::run(&session, arguments).await,
        Command::Token(arguments) => token::run(&session, arguments).await,
        Command::Users(command) => users::run(&session, command).await,
        Command::Auth(command) => auth::run(&session, command).await,
        Command::Completions { .. } | Command::Man { .. } => Ok(Exit::Done), // done above, without a connection
    }
}

impl Session {
    pub(crate) fn mfa(&self) -> MultiFactorAuthenticationApi {
        MultiFactorAuthenticationApi::new(&self.client)
    }

    pub(crate) fn users(&self) -> UsersApi {
        UsersApi::new(&self.client)
    }

    /// The id of a user who is named by id, user name or e-mail address.
    pub(crate) async fn user_id(&self, user: &User) -> Outcome<UserId> {
        if user.user.bytes().all(|byte| byte.is_ascii_digit())
            && let Ok(id) = user.user.parse()
        {
            return Ok(id);
        }
        let users = self.users();
        if let Some(found) = users.find_by_username(&user.user).await? {
            return Ok(found.id);
        }
        if user.user.contains('@') {
            let page = users
                .list_users(&UserQuery::new().email(user.user.as_str()))
                .await?;
            match page.items.as_slice() {
                [one] => return Ok(one.id),
                [] => {}
                several => {
                    return Err(Failure::new(
                        Exit::NotFound,
                        format!("{} users have this e-mail address", several.len()),
                    )
                    .advice("name the user by id: `onelogin users list --email …`"));
                }
            }
        }
        Err(
            Failure::new(Exit::NotFound, format!("there is no user {:?}", user.user))
                .advice("`onelogin users list` finds users"),
        )
    }
}

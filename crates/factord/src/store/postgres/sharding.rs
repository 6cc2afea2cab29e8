//! Whether the database could be spread over several by user id: every statement must carry the key of each table that it
//! touches, or stand in the list of those that need not. The statement of a decision is looked at as it is built, by
//! `every_part_of_a_decisions_statement_carries_the_users_id`; all others as they stand in the sources.

use std::path::Path;

/// Tables that would be distributed, each by which column.
const DISTRIBUTED: [(&str, &str); 9] = [
    ("users", "id"),
    ("expiries", "user_id"),
    ("finished", "user_id"),
    ("audit_events", "user_id"),
    ("messages", "user_id"),
    ("outbox", "user_id"),
    ("links", "user_id"),
    ("deleted_users", "id"),
    ("histories", "destination"),
];

/// Tables that every node would have whole.
const REFERENCE: [&str; 6] = [
    "credentials",
    "tokens",
    "settings",
    "hardware",
    "rate_windows",
    "schema_migrations",
];

/// Statements without a key: how each begins, and why it may ask every node.
const EXCEPTIONS: [(&str, &str); 17] = [
    (
        "SELECT user_id, expires_at, {NOW} FROM links WHERE token",
        "a link is found by its token: whose it is, is the question",
    ),
    (
        "SELECT id, at, user_id, device, action, reason, count, credential FROM audit_events WHERE id <",
        "an administrator lists everybody's events",
    ),
    (
        "SELECT count(*) FROM users",
        "an administrator searches users by any field",
    ),
    (
        "SELECT id, profile, mfa FROM users",
        "an administrator searches users by any field",
    ),
    (
        "SELECT id, user_id, at, attempts, sealed FROM messages WHERE not_before",
        "the dispatcher sends everybody's messages",
    ),
    (
        "DELETE FROM messages WHERE id",
        "the dispatcher, once a message",
    ),
    (
        "UPDATE messages SET attempts",
        "the dispatcher, once a message that failed",
    ),
    (
        "WITH moved AS (DELETE FROM messages",
        "only under `factord dev`",
    ),
    ("SELECT at, user_id, coalesce(next_expiry", "the clean-up"),
    (
        "DELETE FROM expiries WHERE (at, user_id) IN",
        "the clean-up",
    ),
    (
        "DELETE FROM finished WHERE (user_id, id) IN",
        "the clean-up",
    ),
    ("DELETE FROM links WHERE token IN", "the clean-up"),
    ("DELETE FROM outbox WHERE (id, user_id) IN", "the clean-up"),
    (
        "DELETE FROM messages WHERE (id, user_id) IN",
        "the clean-up",
    ),
    ("DELETE FROM histories WHERE updated_at", "the clean-up"),
    (
        "WITH ended AS (DELETE FROM {table}",
        "a database that is being restored",
    ),
    (
        "WITH number AS MATERIALIZED (SELECT nextval('user_ids')",
        "the user's id is drawn by the statement itself",
    ),
];

/// Files whose statements are about a whole database, or are looked at elsewhere.
const PASSED_OVER: [&str; 5] = [
    "open.rs",      // makes the tables
    "transfer.rs",  // moves the whole database
    "statement.rs", // looked at as it is built
    "tests.rs",
    "sharding.rs",
];

#[test]
fn every_statement_carries_the_key_of_its_tables_or_stands_in_the_list() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store/postgres");
    let (mut looked_at, mut used) = (0, [0; EXCEPTIONS.len()]);
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_dir() || PASSED_OVER.contains(&name) {
            continue;
        }
        for statement in literals(&std::fs::read_to_string(&path).unwrap()) {
            for table in tables(&statement) {
                looked_at += 1;
                if REFERENCE.contains(&&*table) {
                    continue;
                }
                if let Some(at) = EXCEPTIONS
                    .iter()
                    .position(|(begin, _)| statement.starts_with(begin))
                {
                    used[at] += 1;
                    continue;
                }
                let known = DISTRIBUTED.iter().find(|(name, _)| *name == table);
                let (_, key) =
                    known.unwrap_or_else(|| panic!("{name}: what of {table}? {statement}"));
                assert!(
                    is_keyed(&statement, &table, key),
                    "{name}: no {key} for {table}: {statement}"
                );
            }
        }
    }
    assert!(looked_at > 30, "{looked_at}");
    for ((begin, _), used) in EXCEPTIONS.iter().zip(used) {
        assert!(used > 0, "no statement begins so any more: {begin}");
    }
}

#[test]
fn a_statement_without_its_key_is_found() {
    let tables_of = |sql: &str| tables(sql).collect::<Vec<_>>();
    assert_eq!(
        tables_of("DELETE FROM messages USING kept WHERE 1 = 1"),
        ["messages"]
    );
    assert!(!is_keyed(
        "DELETE FROM messages WHERE id = $1",
        "messages",
        "user_id"
    ));
    assert!(is_keyed(
        "DELETE FROM messages WHERE id = $1 AND user_id = $2",
        "messages",
        "user_id"
    ));
    assert!(!is_keyed(
        "SELECT 1 FROM users WHERE device_id = $1",
        "users",
        "id"
    ));
    assert!(is_keyed(
        "INSERT INTO outbox (id, user_id) VALUES ($1, $2)",
        "outbox",
        "user_id"
    ));
    assert_eq!(
        literals("let a = \"b \\\"c\\\" \\\n  d\"; // \"no\"\n"),
        ["b \"c\" d"]
    );
}

/// Whether the key is compared with something, or is among the columns that are inserted.
fn is_keyed(statement: &str, table: &str, key: &str) -> bool {
    let compared = [" ", ".", "("].map(|before| format!("{before}{key} = "));
    let inserted = statement
        .split_once(&format!("INSERT INTO {table} "))
        .and_then(|(_, rest)| rest.split_once(')'))
        .is_some_and(|(columns, _)| {
            columns
                .trim_start_matches('(')
                .split(", ")
                .any(|column| column == key)
        });
    inserted || compared.iter().any(|compared| statement.contains(compared))
}

/// The tables that a statement names; not those that it makes itself.
fn tables(statement: &str) -> impl Iterator<Item = String> {
    let words: Vec<_> = statement.split_whitespace().collect();
    let made: Vec<_> = words
        .windows(2)
        .filter(|pair| pair[1] == "AS")
        .map(|pair| pair[0].to_owned())
        .collect();
    let named = words.windows(2).filter(|pair| {
        let word = pair[0].trim_start_matches('(');
        ["FROM", "JOIN", "INTO", "UPDATE"].contains(&word)
    });
    let named: Vec<_> = named
        .map(|pair| {
            pair[1]
                .trim_end_matches([',', ')', ';'])
                .split(',')
                .next()
                .unwrap_or_default()
                .to_owned()
        })
        .filter(|name| {
            name.chars()
                .all(|it| it.is_ascii_lowercase() || it == '_' || it == '{' || it == '}')
        })
        .filter(move |name| !made.contains(name) && !OTHERS.contains(&&**name))
        .collect();
    named.into_iter()
}

/// Words that follow `FROM` and are no tables.
const OTHERS: [&str; 10] = [
    "clock_timestamp",
    "start",
    "trail",
    "number",
    "moved",
    "ended",
    "kept",
    "new",
    "credential",
    "made",
];

/// The string literals of a Rust source, each on one line. Comments are passed over, and so are tests, which come last.
fn literals(source: &str) -> Vec<String> {
    let source = source.split("#[cfg(test)]").next().unwrap_or_default();
    let mut found = Vec::new();
    for_each_literal(source, |literal| {
        found.push(literal.split_whitespace().collect::<Vec<_>>().join(" "));
    });
    found
}

fn for_each_literal(source: &str, mut each: impl FnMut(&str)) {
    let mut characters = source.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '/' if characters.peek() == Some(&'/') => {
                characters.by_ref().find(|it| *it == '\n');
            }
            // The only characters that could be mistaken for the beginning of a literal.
            '\'' if characters.peek() == Some(&'"') => {
                characters.nth(1);
            }
            '"' => {
                let mut literal = String::new();
                while let Some(character) = characters.next().filter(|it| *it != '"') {
                    match character {
                        '\\' => match characters.next() {
                            Some('n' | '\n') | None => literal.push(' '),
                            Some(escaped) => literal.push(escaped),
                        },
                        character => literal.push(character),
                    }
                }
                each(&literal);
            }
            _ => {}
        }
    }
}

//! What every store promises, run over each of them.

mod commands;
mod credentials;
mod decisions;
mod events;
mod hardware;
mod messages;
mod upkeep;
mod users;
mod world;

use std::marker::PhantomData;
use std::sync::Arc;

use rand::SeedableRng;
use rand::rngs::StdRng;
use serde_json::json;
use tempfile::TempDir;
use uuid::Uuid;

use super::memory::MemoryStore;
use super::sqlite::SqliteStore;
use super::*;
use crate::audit::{Action, Reason};
use crate::auth::scope::Scope;
use crate::clock::{Clock, ManualClock};
use crate::crypto::keys::{Keys, MasterKey};
use crate::crypto::sealing::Sealed;
use crate::delivery::message::Channel;
use crate::mfa::data::Data;
use crate::mfa::decision::Link;
use crate::mfa::hardware::Owner;
use crate::mfa::ids::DeviceNumber;
use crate::mfa::profile::{DeleteUser, UpdateProfile};
use crate::mfa::redirect::RedirectPolicy;
use crate::mfa::user::{Mfa, Status, Verification};

use commands::*;
pub(super) use commands::{command, count_of, count_up, finish, open_verification, send};
pub(super) use world::{START, World, core};

/// Every promise, as a test of every store.
macro_rules! contract {
    ($($part:ident { $($promise:ident,)+ })+) => {
        mod sqlite_keeps_the_contract {
            $($(#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $promise() {
                super::$part::$promise(&super::World::on_sqlite()).await;
            })+)+
        }
        mod postgres_keeps_the_contract {
            $($(#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $promise() {
                if let Some(world) = super::World::on_postgres().await {
                    super::$part::$promise(&world).await;
                }
            })+)+
        }
        mod memory_keeps_the_contract {
            $($(#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $promise() {
                super::$part::$promise(&super::World::in_memory()).await;
            })+)+
        }
    };
}

contract! {
    users {
        a_user_is_created_with_an_event_and_reads_back_as_created,
        a_username_is_taken_whatever_its_case,
        a_profile_cannot_take_the_username_of_another_and_then_nothing_is_changed,
        users_are_found_by_any_field_exactly_or_by_its_beginning,
        users_are_found_by_times,
        users_come_in_pages_by_rising_id,
    }
    decisions {
        nothing_is_decided_about_a_user_who_does_not_exist,
        what_a_decision_does_is_committed_together_also_when_it_refuses,
        decisions_about_one_user_are_made_one_after_the_other,
        two_hundred_confirmations_of_one_thing_succeed_once,
        a_destination_has_one_history_whoever_sends_there,
        what_has_finished_is_found_by_its_owner_alone,
        deleting_a_user_erases_all_but_the_audit_trail_and_never_gives_the_id_again,
        a_link_leads_to_its_user_until_it_expires_or_the_user_is_gone,
    }
    hardware {
        hardware_exists_once_whoever_has_it,
        hardware_is_imported_all_or_none_and_keeps_what_is_known_of_it,
        hardware_is_nobodys_once_its_device_or_user_is_gone,
    }
    events {
        the_same_refusal_again_is_counted_in_the_event_before,
        refusals_that_alternate_are_counted_each_in_its_own_event,
        events_are_listed_newest_first_in_pages,
    }
    credentials {
        a_credential_is_kept_once_and_revoked_once,
        revoking_a_credential_ends_its_tokens_and_those_on_their_way,
        a_pair_of_tokens_is_replaced_once_by_its_own_credential,
    }
    messages {
        a_message_waits_until_it_is_due_and_is_gone_once_settled,
        a_message_moves_to_the_outbox_once_however_often_it_is_moved,
        the_dispatcher_hears_of_messages_that_came_before_it_listened,
        everybody_who_waits_for_the_outbox_hears_of_a_message,
    }
    upkeep {
        settings_are_kept,
        clean_up_takes_what_is_old_in_small_steps_and_nothing_else,
        what_expires_unnoticed_is_ended_by_the_clean_up,
        what_expires_later_is_ended_though_something_earlier_was_completed,
        whatever_lets_somebody_in_can_be_ended_at_once,
        a_working_store_answers_a_ping,
    }
}

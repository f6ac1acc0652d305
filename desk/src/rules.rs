//! Who may do what, in one place: what each role is for, and that a store's people see their own store only.
//!
//! Pure. Every feature asks here before it reads or writes; the ledger decides nothing.

use crate::actor::{Actor, Role};
use crate::error::Refusal;

/// Something an actor wants to do. Whose store it is about is asked with [`within`], before this.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act<'a> {
    /// Record a new incident.
    Record,
    /// Comment on one.
    Comment,
    /// Add a photo or another file to one.
    AddPhoto,
    /// Have an original, with everything that the camera wrote into it.
    SeeOriginal {
        /// Whether the actor added it.
        own: bool,
        /// Whether it is a picture that can be shown.
        shown: bool,
    },
    /// Change fields of one.
    Edit {
        /// Whether the actor reported it.
        own: bool,
        /// Its status now.
        status: &'a str,
    },
    /// Give it to somebody, or take it from them.
    Assign,
    /// Move it to another status.
    Step {
        /// Whether the actor reported it.
        own: bool,
        /// Its status now.
        from: &'a str,
        /// The status it shall have.
        to: &'a str,
    },
    /// Delete it, or bring it back.
    Delete,
    /// See what was deleted.
    SeeDeleted,
    /// Take many incidents out of the system at once.
    Export,
    /// See files that belong to no incident yet, and say where they belong.
    FileInbox,
    /// See what the site does by itself, and have it tried again.
    KeepJobs {
        /// Whether the site is headquarters, whose jobs are about every store.
        at_hub: bool,
    },
    /// Say whom the site tells of what.
    KeepNotifications {
        /// Whether the site is headquarters, which tells of every store.
        at_hub: bool,
    },
    /// See fields in which two edits met, and decide between them.
    SeeReviews,
    /// See changes in quarantine, and decide about them.
    Settle,
    /// See the company as a whole: figures of every store, the lists of stores and accounts.
    SeeCompany,
    /// See the store in charts.
    SeeTrends,
    /// See the accounts of the store.
    SeeAccounts,
    /// Make and change stores, accounts and nodes.
    Administer,
    /// Have a person's data erased at every site, and see who has done it.
    Erase,
    /// Hold an incident so that nothing of it is erased, or let it go.
    Hold,
    /// See what administrators and headquarters did.
    SeeActs,
}

/// Statuses in which an employee may still change their own report: nobody has started to review it, or the reviewer
/// has asked for more.
const OPEN_TO_REPORTER: [&str; 3] = ["draft", "submitted", "needs_info"];

/// Whether `actor` may do `act` in a store that is theirs to see.
///
/// # Errors
/// [`Refusal::Forbidden`], which says who may.
pub fn check(actor: &Actor, act: Act<'_>) -> Result<(), Refusal> {
    let least = match act {
        Act::Record | Act::Comment | Act::AddPhoto | Act::SeeOriginal { own: true, shown: true } => Role::Employee,
        Act::Edit { own: true, status } if OPEN_TO_REPORTER.contains(&status) => Role::Employee,
        Act::Step { own: true, from: "draft" | "needs_info", to: "submitted" } => Role::Employee,
        Act::Edit { .. }
        | Act::Step { .. }
        | Act::Assign
        | Act::Delete
        | Act::SeeDeleted
        | Act::SeeOriginal { .. }
        | Act::Export
        | Act::FileInbox
        | Act::KeepJobs { at_hub: false }
        | Act::KeepNotifications { at_hub: false }
        | Act::SeeReviews
        | Act::Settle
        | Act::SeeTrends
        | Act::SeeAccounts => Role::Manager,
        Act::KeepJobs { at_hub: true } => Role::Hq,
        Act::SeeCompany | Act::Erase | Act::Hold | Act::SeeActs => Role::Hq,
        Act::Administer | Act::KeepNotifications { at_hub: true } => Role::Admin,
    };
    if actor.role >= least {
        Ok(())
    } else {
        Err(Refusal::Forbidden(forbidden(act).to_owned()))
    }
}

fn forbidden(act: Act<'_>) -> &'static str {
    match act {
        Act::Edit { own: true, .. } => {
            "your report is in review: ask a manager to change it, or add what is new as an addendum"
        }
        Act::Edit { own: false, .. } => {
            "only a manager changes what somebody else reported: add what you know as a comment"
        }
        Act::Assign => "only a manager assigns an incident",
        Act::Step { .. } => "only a manager moves an incident to this status",
        Act::Delete => "only a manager deletes an incident or brings it back",
        Act::SeeDeleted => "only a manager sees what was deleted",
        Act::Export => "only a manager exports incidents",
        Act::FileInbox => "only a manager sees and files what came through the drop folder",
        Act::KeepJobs { at_hub: false } => "only a manager sees what the site does by itself",
        Act::KeepJobs { at_hub: true } => "only headquarters sees what the hub does by itself",
        Act::KeepNotifications { at_hub: false } => "only a manager says whom the store tells of what",
        Act::KeepNotifications { at_hub: true } => "only an administrator says whom headquarters tells of what",
        Act::SeeReviews => "only a manager decides between edits that met",
        Act::Settle => "only a manager sees and settles what is in quarantine",
        Act::SeeCompany => "only headquarters sees the company as a whole",
        Act::SeeTrends => "only a manager sees the store's trends",
        Act::SeeAccounts => "only a manager sees the list of accounts",
        Act::Erase => "only headquarters has data erased",
        Act::SeeActs => "only headquarters sees what administrators did",
        Act::Hold => "only headquarters holds an incident or lets it go",
        Act::Administer => "only an administrator, at headquarters, does this",
        Act::SeeOriginal { shown: true, .. } => {
            "an original may say where and by whom it was taken: only a manager, or whoever added it, has it"
        }
        Act::SeeOriginal { .. } => "only a manager has files that cannot be shown",
        Act::Record | Act::Comment | Act::AddPhoto => "this account may not record anything",
    }
}

/// The only store whose incidents `actor` may see; `None` sees every store.
///
/// A store account without a store (which no site makes) sees the store without a name: nothing.
#[must_use]
pub fn sight(actor: &Actor) -> Option<String> {
    match actor.role {
        Role::Hq | Role::Admin => None,
        Role::Employee | Role::Manager => Some(actor.store_code.clone().unwrap_or_default()),
    }
}

/// Whether `store_code` is one that `actor` may see.
#[must_use]
pub fn sees(actor: &Actor, store_code: &str) -> bool {
    sight(actor).is_none_or(|own| own == store_code)
}

/// Refuses what lies in a store that is not `actor`'s to see, without telling that it is there.
///
/// # Errors
/// [`Refusal::NotFound`].
pub fn within(actor: &Actor, store_code: &str) -> Result<(), Refusal> {
    if sees(actor, store_code) { Ok(()) } else { Err(Refusal::NotFound) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn actor(role: Role) -> Actor {
        let store_code = matches!(role, Role::Employee | Role::Manager).then(|| "042".to_owned());
        Actor {
            id: Uuid::nil(),
            username: "kim".to_owned(),
            display_name: "Kim".to_owned(),
            role,
            store_code,
        }
    }

    #[test]
    fn the_matrix_of_roles_and_acts_is_as_the_contract_says() {
        let step = |own, from, to| Act::Step { own, from, to };
        // One row: the act, and whether employee, manager, hq and admin may.
        let matrix = [
            (Act::Record, [true, true, true, true]),
            (Act::Comment, [true, true, true, true]),
            (Act::Edit { own: true, status: "draft" }, [true, true, true, true]),
            (Act::Edit { own: true, status: "submitted" }, [true, true, true, true]),
            (Act::Edit { own: true, status: "needs_info" }, [true, true, true, true]),
            (Act::Edit { own: true, status: "in_review" }, [false, true, true, true]),
            (Act::Edit { own: true, status: "closed" }, [false, true, true, true]),
            (Act::Edit { own: true, status: "void" }, [false, true, true, true]),
            (Act::Edit { own: false, status: "draft" }, [false, true, true, true]),
            (Act::Edit { own: false, status: "submitted" }, [false, true, true, true]),
            (Act::Assign, [false, true, true, true]),
            (step(true, "draft", "submitted"), [true, true, true, true]),
            (step(true, "needs_info", "submitted"), [true, true, true, true]),
            (step(false, "draft", "submitted"), [false, true, true, true]),
            (step(true, "submitted", "in_review"), [false, true, true, true]),
            (step(true, "in_review", "closed"), [false, true, true, true]),
            (step(true, "draft", "void"), [false, true, true, true]),
            (step(true, "closed", "in_review"), [false, true, true, true]),
            (Act::Delete, [false, true, true, true]),
            (Act::SeeDeleted, [false, true, true, true]),
            (Act::Export, [false, true, true, true]),
            (Act::KeepJobs { at_hub: false }, [false, true, true, true]),
            (Act::KeepJobs { at_hub: true }, [false, false, true, true]),
            (Act::KeepNotifications { at_hub: false }, [false, true, true, true]),
            (Act::KeepNotifications { at_hub: true }, [false, false, false, true]),
            (Act::SeeReviews, [false, true, true, true]),
            (Act::Settle, [false, true, true, true]),
            (Act::SeeTrends, [false, true, true, true]),
            (Act::SeeAccounts, [false, true, true, true]),
            (Act::SeeCompany, [false, false, true, true]),
            (Act::Administer, [false, false, false, true]),
            (Act::Erase, [false, false, true, true]),
            (Act::Hold, [false, false, true, true]),
            (Act::SeeActs, [false, false, true, true]),
        ];
        for (act, may) in matrix {
            for (role, may) in [Role::Employee, Role::Manager, Role::Hq, Role::Admin].into_iter().zip(may) {
                assert_eq!(check(&actor(role), act).is_ok(), may, "{role:?} {act:?}");
            }
        }
    }

    #[test]
    fn a_stores_people_see_their_own_store_and_headquarters_every_one() {
        for role in [Role::Employee, Role::Manager] {
            assert!(within(&actor(role), "042").is_ok());
            assert_eq!(within(&actor(role), "42"), Err(Refusal::NotFound));
            assert_eq!(sight(&actor(role)).as_deref(), Some("042"));
            let lost = Actor { store_code: None, ..actor(role) };
            assert!(within(&lost, "042").is_err());
        }
        for role in [Role::Hq, Role::Admin] {
            assert!(within(&actor(role), "042").is_ok());
            assert_eq!(sight(&actor(role)), None);
        }
    }
}

//! Who acts: an account, its role and the store it is bound to.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// What an account may do; see [`crate::rules`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Records, comments, adds photos; sees the own store.
    Employee,
    /// Also edits, closes, deletes and exports in the own store.
    Manager,
    /// Works on every store, at the hub.
    Hq,
    /// Also manages stores, accounts and nodes.
    Admin,
}

impl Role {
    /// The role's name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Employee => "employee",
            Self::Manager => "manager",
            Self::Hq => "hq",
            Self::Admin => "admin",
        }
    }
}

impl std::str::FromStr for Role {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "employee" => Ok(Self::Employee),
            "manager" => Ok(Self::Manager),
            "hq" => Ok(Self::Hq),
            "admin" => Ok(Self::Admin),
            _ => Err(()),
        }
    }
}

/// An account as the ledger keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// The account's record.
    pub id: Uuid,
    /// Lower case, lasting.
    pub username: String,
    /// What people see.
    pub display_name: String,
    /// What it may do.
    pub role: Role,
    /// The store it is bound to; none for `hq` and `admin`.
    pub store_code: Option<String>,
    /// PHC string (argon2id).
    pub password_hash: String,
    /// False: cannot log in; everything it recorded stays.
    pub active: bool,
}

/// Whoever makes a request, after the door.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    /// The account.
    pub id: Uuid,
    /// Its username.
    pub username: String,
    /// What people see.
    pub display_name: String,
    /// What it may do.
    pub role: Role,
    /// The store it is bound to.
    pub store_code: Option<String>,
}

impl From<Account> for Actor {
    fn from(account: Account) -> Self {
        Self {
            id: account.id,
            username: account.username,
            display_name: account.display_name,
            role: account.role,
            store_code: account.store_code,
        }
    }
}

impl Actor {
    /// The program itself, at the request of whoever runs it: `system:cli`, say. It may do everything.
    #[must_use]
    pub fn system(what: &str) -> Self {
        Self {
            id: Uuid::nil(),
            username: format!("system:{what}"),
            display_name: format!("system ({what})"),
            role: Role::Admin,
            store_code: None,
        }
    }
}

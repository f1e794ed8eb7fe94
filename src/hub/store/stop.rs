//! Why an operation ended without its result: refused, which the client is told, or the database failed.

use crate::db::DbError;
use crate::proto::hub::wire::ErrorCode;
use crate::proto::hub::wire::server::{Err as WireErr, ErrScope};

/// The end of an operation; its savepoint is rolled back.
#[derive(Debug)]
pub(crate) enum Stop {
    /// The client asked for what cannot be.
    Refuse(Box<WireErr>),
    /// The database failed.
    Db(DbError),
}

impl From<DbError> for Stop {
    fn from(error: DbError) -> Self {
        Self::Db(error)
    }
}

impl From<rusqlite::Error> for Stop {
    fn from(error: rusqlite::Error) -> Self {
        Self::Db(error.into())
    }
}

impl Stop {
    /// A refusal with its words.
    pub(super) fn refuse(code: ErrorCode, msg: impl Into<String>) -> Self {
        Self::Refuse(Box::new(WireErr { code, msg: Some(msg.into()), ..WireErr::default() }))
    }

    /// Which member of the request is at fault.
    pub(super) fn field(self, field: &str) -> Self {
        self.with(|err| err.field = Some(field.to_owned()))
    }

    /// What it is about.
    pub(super) fn scope(self, scope: ErrScope) -> Self {
        self.with(|err| err.scope = Some(scope))
    }

    pub(super) fn with(mut self, change: impl FnOnce(&mut WireErr)) -> Self {
        if let Self::Refuse(err) = &mut self {
            change(err);
        }
        self
    }

    pub(super) fn no_conv() -> Self {
        Self::refuse(ErrorCode::NotFound, "no such conversation").field("conv").scope(ErrScope::Conv)
    }

    pub(super) fn not_member() -> Self {
        Self::refuse(ErrorCode::NotMember, "you are not in this conversation").scope(ErrScope::Conv)
    }

    pub(super) fn no_user(name: &str, field: &str) -> Self {
        Self::refuse(ErrorCode::NotFound, format!("there is no user `{name}` on this hub")).field(field)
    }

    pub(super) fn forbidden(msg: &str) -> Self {
        Self::refuse(ErrorCode::Forbidden, msg)
    }
}

//! What lets a gateway's requests in: tokens that are fetched and renewed, or what each request brings along.

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use super::token::{AccessToken, Fault, Tokens};

/// One hub's way in.
pub(in crate::gateway) trait Entry: fmt::Debug + Send + Sync + 'static {
    /// What a request shows.
    type Pass: Send + Sync;

    /// What to show now.
    fn good(&self) -> impl Future<Output = Result<Self::Pass, Fault>> + Send;

    /// What to show instead of what was refused; none when there is nothing else.
    fn instead_of(&self, refused: &Self::Pass) -> impl Future<Output = Option<Result<Self::Pass, Fault>>> + Send;

    /// Whether anything is given to show, asked anew.
    fn renew(&self) -> impl Future<Output = Result<(), Fault>> + Send;

    /// How far the clock of whoever gives it is ahead of ours, in milliseconds.
    fn clock_ahead(&self) -> Option<i64> {
        None
    }
}

impl Entry for Tokens {
    type Pass = Arc<AccessToken>;

    async fn good(&self) -> Result<Self::Pass, Fault> {
        Tokens::good(self).await
    }

    async fn instead_of(&self, refused: &Self::Pass) -> Option<Result<Self::Pass, Fault>> {
        Some(Tokens::instead_of(self, refused).await)
    }

    async fn renew(&self) -> Result<(), Fault> {
        Tokens::renew(self).await.map(|_| ())
    }

    fn clock_ahead(&self) -> Option<i64> {
        Tokens::clock_ahead(self)
    }
}

/// Requests that are signed or carry a key: their service's own part writes it.
#[derive(Clone, Copy, Debug)]
pub(in crate::gateway) struct Own;

impl Entry for Own {
    type Pass = ();

    async fn good(&self) -> Result<(), Fault> {
        Ok(())
    }

    async fn instead_of(&self, (): &()) -> Option<Result<(), Fault>> {
        None
    }

    async fn renew(&self) -> Result<(), Fault> {
        Ok(())
    }
}

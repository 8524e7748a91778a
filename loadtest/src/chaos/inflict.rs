//! Doing it: each fault from its beginning to its end.
use std::time::Duration;

use anyhow::Context;
use tokio::time::sleep;

use super::{
    fault::{Fault, Named},
    field::Field,
    link::flow::{Condition, Whom},
    timeline::Timeline,
};

impl Field {
    /// Inflicts a fault and returns when it is over: a node that was ended is starting again then, and need not be ready.
    ///
    /// # Errors
    /// When it cannot be inflicted.
    pub async fn inflict(&mut self, fault: &Fault, timeline: &Timeline) -> anyhow::Result<()> {
        timeline.say(Named(fault, &self.cast));
        match *fault {
            Fault::Kill { node, away } => {
                self.nodes.get_mut(node).context("no such node")?.kill9().await;
                sleep(away).await;
                self.start_again(node).await?;
            }
            Fault::Drain { node } => {
                let ended = self.node(node)?.terminate().await;
                let name = self.cast.name(node);
                match ended {
                    Some(status) if status.success() => timeline.say(format_args!("{name} has ended")),
                    other => anyhow::bail!("{name} did not end well after SIGTERM: {other:?}"),
                }
                self.start_again(node).await?;
                // In turn: the next one goes when this one is back.
                self.node(node)?.ready().await.with_context(|| name.clone())?;
            }
            Fault::Freeze { node, lasting } => {
                let node = self.node(node)?;
                node.freeze().await;
                sleep(lasting).await;
                node.wake();
            }
            Fault::Turn { node, ahead, lasting } => {
                // Before it is ready it may not hear the signal that tells it.
                let turned = self.node(node)?;
                turned.ready().await?;
                turned.set_clock(ahead)?;
                sleep(lasting).await;
                turned.set_clock(0)?;
            }
            Fault::KillStore { away } => self.ground.kill_store(away).await?,
            Fault::KillQueue { away } => self.ground.messenger.kill(away).await?,
            Fault::Flush => self.ground.messenger.flush()?,
            Fault::FailOver { away } => self.ground.messenger.fail_over(away).await?,
            Fault::LoseMaster { which, away } => self.ground.messenger.lose_master(which, away).await?,
            Fault::Trouble { link, whom, condition, lasting } => {
                self.links(link).iter().for_each(|link| link.set(whom, condition));
                sleep(lasting).await;
                self.links(link).iter().for_each(|link| link.set(Whom::Everyone, Condition::default()));
            }
            Fault::End { link, whom, how } => {
                let ended: usize = self.links(link).iter().map(|link| link.end(whom, how)).sum();
                timeline.say(format_args!("{ended} connections"));
            }
            Fault::Fill { lasting } => self.fill(lasting, timeline).await?,
        }
        Ok(())
    }

    async fn fill(&mut self, lasting: Duration, timeline: &Timeline) -> anyhow::Result<()> {
        let disk = self.ground.disk.as_ref().context("the store has no disk of its own here")?;
        let ballast = disk.fill()?;
        timeline.say(format_args!("{ballast} bytes of ballast, and no more fits"));
        sleep(lasting).await;
        disk.free()?;
        self.ground.revive_store().await
    }
}

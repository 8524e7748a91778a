use super::{field::Field, run::Options, timeline::Timeline, verdict::Verdict};
pub(super) async fn play(_: &Options, _: &mut Field, _: &Timeline, _: &mut Verdict) -> anyhow::Result<()> {
    anyhow::bail!("soon")
}

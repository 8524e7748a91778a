//! How long the messages of a template broadcast would be, without sending any.

use std::collections::{BTreeMap, BTreeSet};

use super::Worker;
use crate::model::audience::Audience;
use crate::model::broadcast::{BroadcastRequest, Content};
use crate::model::chunk_set::ChunkSet;
use crate::model::id::{BroadcastId, ChunkNo, HubId};
use crate::model::platform::Platform;
use crate::model::target::AudienceKind;
use crate::model::template::{Properties, TemplateId, Values};
use crate::store::Result;

/// Targets that are looked at.
const TARGETS: usize = 1_000;

pub(super) async fn measure(
    worker: &Worker,
    hub: HubId,
    request: &BroadcastRequest,
    audience: &Audience,
) -> Result<BTreeMap<Platform, usize>> {
    let Content::Template(properties) = &request.content else { return Ok(BTreeMap::new()) };
    let properties = Properties::new(properties);
    let mut chunks: BTreeMap<ChunkNo, ChunkSet> = BTreeMap::new();
    for seq in worker.store.lowest(hub, audience, AudienceKind::Template, TARGETS).await? {
        chunks.entry(seq.chunk()).or_default().insert(seq.offset());
    }
    let mut found: BTreeSet<(Platform, TemplateId, Vec<u8>)> = BTreeSet::new();
    for (chunk, set) in chunks {
        let rows = worker.store.read_rows(hub, chunk, &set, None).await?;
        let named =
            rows.iter().filter_map(|(row, _)| Some((row.platform, row.template?, rows.variables(row).to_vec())));
        found.extend(named);
    }
    let ids: BTreeSet<TemplateId> = found.iter().map(|(_, id, _)| *id).collect();
    let known = worker.templates.of(&*worker.store, hub, &Vec::from_iter(ids)).await?;
    // Only its length matters here; the id that it will get is of the same.
    let now = worker.clock.now();
    let id = BroadcastId::new(u64::try_from(now.millis()).unwrap_or(0));
    let expires = request.schedule_at.unwrap_or(now).plus(request.ttl());
    let mut longest: BTreeMap<Platform, usize> = BTreeMap::new();
    for (platform, template, variables) in &found {
        let compiled = known.get(template).and_then(|stencil| stencil.as_ref().as_ref().ok());
        let (Some(compiled), Some(gateway)) = (compiled, worker.gateways.gateway(hub, *platform)) else { continue };
        let variables = Properties::decode(variables);
        let rendered = compiled.render(&Values { properties: &properties, variables: Some(&variables) });
        let prepared = rendered.and_then(|rendered| gateway.prepare_rendered(id, request, &rendered, expires));
        if let Ok(prepared) = prepared {
            let length = longest.entry(*platform).or_default();
            *length = (*length).max(prepared.body.len());
        }
    }
    Ok(longest)
}

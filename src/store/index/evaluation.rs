//! An audience over an [`IndexView`], chunk by chunk.
//!
//! The universe of a chunk is who is live there, over all wanted platforms at once; the answer is split by platform at
//! the end, so an expression is evaluated once however many platforms there are.
//!
//! Secondary tiles are in the universe only where a tag of theirs is named: a tile counts when the expression holds for
//! it and some tag that stands un-negated in the expression is its own. So an empty or purely negative audience leaves
//! tiles out, and `tile-news && !muted` finds the tiles that carry `tile-news`.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};

use super::delta::Overlay;
use super::view::IndexView;
use crate::model::audience::{Audience, ChunkList, Expr, Program, Scope, Term, TermId, TermSets};
use crate::model::chunk_set::{CHUNK_SIZE, ChunkSet};
use crate::model::id::{ChunkNo, Seq};
use crate::model::platform::Platform;
use crate::model::tag::Tag;
use crate::model::target::{AudienceKind, TargetClass, index_tag};
use crate::store::{Result, StoreError};

/// Sets are read so many chunks at a time: a stretch costs little more than one set, and ten terms of it stay small.
const STRETCH: usize = 16;

/// Up to so many chunks and targets the terms alone are bound enough, and nobody asks how many live where.
const FEW_CHUNKS: usize = 8;
const FEW_TARGETS: u64 = 2_048;

/// Which targets an audience can mean.
#[derive(Clone, Copy, Debug)]
pub(in crate::store) struct Reach {
    main: TargetClass,
    /// Of tiles, and only when named.
    tile: Option<TargetClass>,
}

impl Reach {
    /// What a broadcast of this kind reaches.
    pub(in crate::store) const fn of(kind: AudienceKind) -> Self {
        let tile = match kind {
            AudienceKind::Native => TargetClass::Tile,
            AudienceKind::Template => TargetClass::TileTemplate,
        };
        Self { main: kind.class(), tile: Some(tile) }
    }

    /// Native targets alone: one for each installation.
    pub(in crate::store) const INSTALLATIONS: Self = Self { main: TargetClass::Native, tile: None };
}

/// An audience, ready to be evaluated.
pub(in crate::store) struct Evaluation<'s, V> {
    scope: Scope,
    sets: Sets<'s, V>,
    live: Vec<Live>,
    /// Terms that name tiles: the tags that stand un-negated, by their place in the program.
    naming: Vec<usize>,
    due: BTreeMap<u32, ChunkSet>,
    chunks: Vec<ChunkNo>,
}

/// Who is live on one platform.
struct Live {
    platform: Platform,
    main: TagSets,
    tile: Option<TagSets>,
}

impl<'s, V: IndexView> Evaluation<'s, V> {
    pub(in crate::store) fn new(
        view: &'s V,
        audience: &Audience,
        reach: Reach,
        platforms: Option<&[Platform]>,
    ) -> Result<Self> {
        let program = Program::compile(audience);
        let terms = Source::of(view, program.terms())?;
        let lists = Source::lists(view, &terms)?;
        let live_tags = view.live_tags();
        let live = |platform: &Platform| Live {
            platform: *platform,
            main: TagSets::new(view, live_tags.get(reach.main, *platform).to_owned()),
            tile: reach.tile.map(|tile| TagSets::new(view, live_tags.get(tile, *platform).to_owned())),
        };
        let mut platforms = platforms.unwrap_or(&Platform::ALL).to_vec();
        platforms.sort_unstable();
        platforms.dedup();
        let mut live: Vec<Live> = platforms.iter().map(live).collect();
        let everywhere: ChunkList =
            view.last_chunk().map_or(0..0, |last| 0..last.0 + 1).map(|chunk| (chunk, CHUNK_SIZE)).collect();
        let mut scope = Scope::new(&program, &everywhere, lists.clone());
        if scope.chunks().len() > FEW_CHUNKS || scope.at_most() > FEW_TARGETS {
            let sets = live.iter().flat_map(|platform| std::iter::once(&platform.main).chain(&platform.tile));
            let mut found = chunk_lists(view, sets)?.into_iter();
            let mut counts: Vec<ChunkList> = Vec::new();
            let mut kept = Vec::with_capacity(live.len());
            for mut platform in live {
                let main = found.next().unwrap_or_default();
                let tile = platform.tile.as_ref().and_then(|_| found.next()).unwrap_or_default();
                platform.tile = platform.tile.filter(|_| !tile.is_empty());
                if !main.is_empty() || !tile.is_empty() {
                    kept.push(platform);
                    counts.extend([main, tile]);
                }
            }
            live = kept;
            let counts = counts.iter().flat_map(ChunkList::as_slice).map(|entry| (entry.chunk, entry.count));
            scope = Scope::new(&program, &counts.collect(), lists);
        }
        let chunks: Vec<u32> = scope.chunks().iter().map(|entry| entry.chunk).collect();
        Ok(Self {
            chunks: chunks.iter().copied().map(ChunkNo).collect(),
            sets: Sets { view, terms, chunks },
            naming: naming_terms(audience, program.terms()),
            due: if scope.chunks().is_empty() { BTreeMap::new() } else { view.due()? },
            scope,
            live,
        })
    }

    /// Where it can be true, ascending.
    pub(in crate::store) fn chunks(&self) -> &[ChunkNo] {
        &self.chunks
    }

    /// No more targets than these.
    pub(in crate::store) fn upper_bound(&self) -> u64 {
        self.scope.at_most()
    }

    /// The targets of one chunk: live, of the kind, not expired by the view's `now`. Platforms ascending, empty
    /// sets left out. Cheapest when chunks are asked for in their order.
    pub(in crate::store) fn chunk(&mut self, chunk: ChunkNo) -> Result<Vec<(Platform, ChunkSet)>> {
        let Self { scope, sets, live, naming, due, .. } = self;
        let mut by_platform: Vec<(Platform, ChunkSet)> = Vec::with_capacity(live.len());
        let mut named: Option<ChunkSet> = None;
        for platform in live {
            let mut members = platform.main.at(sets.view, &sets.chunks, chunk.0)?.into_owned();
            if let Some(tile) = platform.tile.as_mut().filter(|_| !naming.is_empty()) {
                let tiles = tile.at(sets.view, &sets.chunks, chunk.0)?;
                if !tiles.is_empty() {
                    let named = match &mut named {
                        Some(named) => named,
                        unknown => unknown.insert(sets.any_of(naming, chunk.0)?),
                    };
                    members.union_with(&tiles.and(named));
                }
            }
            if !members.is_empty() {
                by_platform.push((platform.platform, members));
            }
        }
        let mut universe = match &by_platform[..] {
            [] => return Ok(Vec::new()),
            [(_, first), rest @ ..] => rest.iter().fold(first.clone(), |mut all, (_, members)| {
                all.union_with(members);
                all
            }),
        };
        if let Some(due) = due.get(&chunk.0) {
            universe.subtract(due);
        }
        let meant = scope.evaluate(chunk.0, &universe, sets)?;
        for (_, members) in &mut by_platform {
            members.intersect_with(&meant);
        }
        by_platform.retain(|(_, members)| !members.is_empty());
        Ok(by_platform)
    }
}

/// Targets of the audience, by platform.
pub(in crate::store) fn count(
    view: &impl IndexView,
    audience: &Audience,
    kind: AudienceKind,
) -> Result<BTreeMap<Platform, u64>> {
    let mut evaluation = view.evaluate(audience, kind, None)?;
    let mut counts = BTreeMap::new();
    for chunk in evaluation.chunks().to_vec() {
        for (platform, set) in evaluation.chunk(chunk)? {
            *counts.entry(platform).or_default() += u64::from(set.len());
        }
    }
    Ok(counts)
}

/// Native targets of the audience from `from` on, one for each installation and none of a registration, ascending. No
/// more than `limit`.
pub(in crate::store) fn native_seqs(
    view: &impl IndexView,
    audience: &Audience,
    from: Seq,
    limit: usize,
) -> Result<Vec<Seq>> {
    seqs(view, audience, Reach::INSTALLATIONS, from, limit)
}

/// The lowest targets of an audience, ascending. No more than `limit`.
pub(in crate::store) fn lowest_seqs(
    view: &impl IndexView,
    audience: &Audience,
    kind: AudienceKind,
    limit: usize,
) -> Result<Vec<Seq>> {
    seqs(view, audience, Reach::of(kind), Seq(0), limit)
}

fn seqs(view: &impl IndexView, audience: &Audience, reach: Reach, from: Seq, limit: usize) -> Result<Vec<Seq>> {
    let mut evaluation = Evaluation::new(view, audience, reach, None)?;
    let mut seqs = Vec::new();
    let after = evaluation.chunks().partition_point(|chunk| *chunk < from.chunk());
    let chunks = evaluation.chunks()[after..].to_vec();
    let numbers: Vec<u32> = chunks.iter().map(|chunk| chunk.0).collect();
    let mut registrations = TagSets::new(view, index_tag::REGISTRATION.to_owned());
    for chunk in chunks {
        if seqs.len() >= limit {
            break;
        }
        let mut members = ChunkSet::new();
        for (_, set) in evaluation.chunk(chunk)? {
            members.union_with(&set);
        }
        members.subtract(registrations.at(view, &numbers, chunk.0)?.as_ref());
        seqs.extend(members.iter().map(|offset| Seq::at(chunk, offset)).filter(|seq| *seq >= from));
    }
    seqs.truncate(limit);
    Ok(seqs)
}

/// Where the terms' sets come from while chunks are evaluated.
struct Sets<'s, V> {
    view: &'s V,
    /// By the term's place in the program.
    terms: Vec<Source>,
    /// Every chunk that will be asked for, ascending.
    chunks: Vec<u32>,
}

impl<V: IndexView> TermSets for Sets<'_, V> {
    type Error = StoreError;

    fn set(&mut self, term: TermId, chunk: u32) -> Result<Cow<'_, ChunkSet>> {
        self.at(term.index(), chunk)
    }
}

impl<V: IndexView> Sets<'_, V> {
    fn at(&mut self, term: usize, chunk: u32) -> Result<Cow<'_, ChunkSet>> {
        match self.terms.get_mut(term) {
            Some(Source::Keyed(sets)) => Ok(sets.get(&chunk).map_or_else(Cow::default, Cow::Borrowed)),
            Some(Source::Tag(sets)) => sets.at(self.view, &self.chunks, chunk),
            None => Ok(Cow::default()),
        }
    }

    fn any_of(&mut self, terms: &[usize], chunk: u32) -> Result<ChunkSet> {
        let mut any = ChunkSet::new();
        for &term in terms {
            any.union_with(self.at(term, chunk)?.as_ref());
        }
        Ok(any)
    }
}

/// Where the sets of one term come from.
enum Source {
    /// `$UserId` and `$InstallationId`: looked up once; they have no set rows.
    Keyed(BTreeMap<u32, ChunkSet>),
    Tag(TagSets),
}

impl Source {
    /// The sources of a program's terms, in their order.
    fn of(view: &impl IndexView, terms: &[Term]) -> Result<Vec<Self>> {
        let (mut users, mut ids): (Vec<&str>, Vec<&str>) = (Vec::new(), Vec::new());
        for term in terms {
            match term {
                Term::Tag(_) => {}
                Term::User(user) => users.push(user),
                Term::Installation(id) => ids.push(id),
            }
        }
        let mut of_users = if users.is_empty() { Vec::new() } else { view.seqs_of_users(&users)? }.into_iter();
        let mut of_ids = if ids.is_empty() { Vec::new() } else { view.seqs_of_installations(&ids)? }.into_iter();
        let source = |term: &Term| match term {
            Term::Tag(tag) => Self::Tag(TagSets::new(view, tag.as_str().to_owned())),
            Term::User(_) => Self::keyed(of_users.next().unwrap_or_default()),
            Term::Installation(_) => Self::keyed(of_ids.next().unwrap_or_default()),
        };
        Ok(terms.iter().map(source).collect())
    }

    fn keyed(seqs: Vec<Seq>) -> Self {
        let mut sets: BTreeMap<u32, ChunkSet> = BTreeMap::new();
        for seq in seqs {
            sets.entry(seq.chunk().0).or_default().insert(seq.offset());
        }
        Self::Keyed(sets)
    }

    /// Where each of them can have members.
    fn lists(view: &impl IndexView, sources: &[Self]) -> Result<Vec<ChunkList>> {
        let tags = sources.iter().filter_map(|source| match source {
            Self::Tag(sets) => Some(sets),
            Self::Keyed(_) => None,
        });
        let mut of_tags = chunk_lists(view, tags)?.into_iter();
        let list = |source: &Self| match source {
            Self::Keyed(sets) => sets.iter().map(|(&chunk, set)| (chunk, set.len())).collect(),
            Self::Tag(_) => of_tags.next().unwrap_or_default(),
        };
        Ok(sources.iter().map(list).collect())
    }
}

fn chunk_lists<'a>(view: &impl IndexView, tags: impl Iterator<Item = &'a TagSets>) -> Result<Vec<ChunkList>> {
    let tags: Vec<(&str, &Overlay)> = tags.map(|sets| (&*sets.tag, &sets.overlay)).collect();
    if tags.is_empty() { Ok(Vec::new()) } else { view.chunk_lists(&tags) }
}

/// The sets of one tag, a stretch of chunks at a time.
struct TagSets {
    tag: String,
    overlay: Overlay,
    /// The chunks read last: from, to, and those sets of them that are not empty.
    stretch: Option<(u32, u32, BTreeMap<u32, ChunkSet>)>,
}

impl TagSets {
    fn new(view: &impl IndexView, tag: String) -> Self {
        Self { overlay: view.overlay(&tag), tag, stretch: None }
    }

    /// The set of `chunk`. With it come those of the chunks that follow in `chunks`, as far as they lie close.
    fn at(&mut self, view: &impl IndexView, chunks: &[u32], chunk: u32) -> Result<Cow<'_, ChunkSet>> {
        if !self.stretch.as_ref().is_some_and(|(first, last, _)| (*first..=*last).contains(&chunk)) {
            let at = chunks.partition_point(|&other| other < chunk);
            let near = chunks.iter().copied().enumerate().skip(at).take(STRETCH);
            let near = near.filter(|(place, other)| (other - chunk) as usize <= 2 * (place - at));
            let last = near.map(|(_, other)| other).max().unwrap_or(chunk);
            self.stretch = Some((chunk, last, view.sets(&self.tag, &self.overlay, chunk, last)?));
        }
        let set = self.stretch.as_ref().and_then(|(_, _, sets)| sets.get(&chunk));
        Ok(set.map_or_else(Cow::default, Cow::Borrowed))
    }
}

/// The tags that stand under an even number of `!`, by their place among the program's terms.
fn naming_terms(audience: &Audience, terms: &[Term]) -> Vec<usize> {
    let mut tags = HashSet::new();
    if let Audience::Expr(expr) = audience {
        collect_naming(expr, false, &mut tags);
    }
    let places = terms.iter().enumerate().filter_map(|(at, term)| match term {
        Term::Tag(tag) if tags.contains(tag) => Some(at),
        _ => None,
    });
    places.collect()
}

fn collect_naming<'a>(expr: &'a Expr, negated: bool, tags: &mut HashSet<&'a Tag>) {
    match expr {
        Expr::Term(Term::Tag(tag)) if !negated => drop(tags.insert(tag)),
        Expr::Term(_) => {}
        Expr::Not(inner) => collect_naming(inner, !negated, tags),
        Expr::And(members) | Expr::Or(members) => {
            members.iter().for_each(|member| collect_naming(member, negated, tags));
        }
    }
}

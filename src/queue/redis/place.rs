//! Where entries lie: one stream per lane and partition.
//!
//! A hub's entries of a lane lie in one partition, so that turns over its broadcasts are kept there. One server needs
//! one partition, and turns over hubs are exact; the partitions of a Cluster take turns of their own, each hub within
//! its partition, so that the masters share the load.

use crate::model::broadcast::Lane;
use crate::model::id::HubId;

/// Partitions of a lane in a Cluster: more than masters in most, few enough that a connection for each costs nothing.
pub(super) const IN_CLUSTER: usize = 4;

/// All places of a queue, by number.
#[derive(Clone, Copy, Debug)]
pub(super) struct Places {
    partitions: usize,
}

impl Places {
    /// So many partitions for each lane.
    pub(super) fn new(partitions: usize) -> Self {
        Self { partitions }
    }

    /// The place of a hub's entries.
    pub(super) fn of(self, lane: Lane, hub: HubId) -> usize {
        lane as usize * self.partitions + hub.0 as usize % self.partitions
    }

    /// The places of a lane.
    pub(super) fn of_lane(self, lane: Lane) -> std::ops::Range<usize> {
        let first = lane as usize * self.partitions;
        first..first + self.partitions
    }

    /// Every place that holds entries.
    pub(super) fn entries(self) -> std::ops::Range<usize> {
        0..Lane::ALL.len() * self.partitions
    }

    /// The place of what the fleet shares besides entries.
    pub(super) fn fleet(self) -> usize {
        self.entries().end
    }

    /// How many places there are.
    pub(super) fn count(self) -> usize {
        self.fleet() + 1
    }

    /// The lane of a place; `None` of the fleet's.
    pub(super) fn lane(self, place: usize) -> Option<Lane> {
        Lane::ALL.get(place / self.partitions).copied()
    }

    /// A key of that place. All of a place share a hash tag, so they lie in one slot of a Cluster.
    pub(super) fn key(self, place: usize, name: &str) -> String {
        match self.lane(place) {
            Some(lane) => format!("fanfare:{{{}.{}}}:{name}", lane.label(), place % self.partitions),
            None => format!("fanfare:{{fleet}}:{name}"),
        }
    }

    /// The stream of a place.
    pub(super) fn stream(self, place: usize) -> String {
        self.key(place, "s")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_hub_and_lane_has_a_place_of_that_lane() {
        for partitions in [1, IN_CLUSTER] {
            let places = Places::new(partitions);
            for lane in Lane::ALL {
                for hub in 0..10 {
                    let place = places.of(lane, HubId(hub));
                    assert_eq!(places.lane(place), Some(lane));
                    assert!(places.of_lane(lane).contains(&place) && places.entries().contains(&place));
                }
            }
            assert_eq!(places.lane(places.fleet()), None);
        }
        assert_eq!(Places::new(4).stream(6), "fanfare:{bulk.2}:s");
    }
}

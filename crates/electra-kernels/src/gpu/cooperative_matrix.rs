//! The cooperative matrices of adapters (tensor cores): instructions by which a whole subgroup multiplies small matrices of f16 and
//! adds up in f32.
//!
//! Which sizes there are only the adapter itself can tell (`adapter.rs`).
// Browsers have no such instructions.
#![cfg_attr(target_family = "wasm", allow(dead_code))]

/// An adapter's cooperative matrices, as `product_matrix.wgsl` needs to know them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CooperativeMatrix {
    /// Rows, columns and depth of the matrices: 8 or 16, which are what WGSL has types for.
    pub(crate) size: usize,
    /// Invocations of the narrowest and of the widest subgroup.
    pub(crate) subgroups: [usize; 2],
    /// Whether they are loaded from arrays of vectors of four, so that tiles are written four values at a time.
    pub(crate) takes_fours: bool,
    /// Invocations of a workgroup at most, and the memory that it may share.
    pub(crate) most_lanes: usize,
    pub(crate) workgroup_bytes: usize,
    /// Whether plain WGSL takes their place, for tests. These are never registered.
    pub(crate) is_emulated: bool,
}

/// The results of a workgroup, and how they are shared among its subgroups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shares {
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    /// Rows and columns of a subgroup.
    pub(crate) own: [usize; 2],
}

impl Shares {
    /// What every adapter has room for.
    pub(crate) const SMALL: Self = Self { rows: 64, columns: 64, own: [32, 32] };
    pub(crate) const NARROW: Self = Self { rows: 128, columns: 64, own: [32, 32] };
    pub(crate) const LARGE: Self = Self { rows: 128, columns: 128, own: [32, 64] };
    pub(crate) const ALL: [Self; 3] = [Self::SMALL, Self::NARROW, Self::LARGE];

    /// Subgroups at work.
    fn count(&self) -> usize {
        self.rows / self.own[0] * (self.columns / self.own[1])
    }
}

impl CooperativeMatrix {
    /// `None` where there is no type of that size, or no room for the smallest tile.
    pub(crate) fn new(
        size: usize,
        subgroups: [usize; 2],
        takes_fours: bool,
        most_lanes: usize,
        workgroup_bytes: usize,
    ) -> Option<Self> {
        let [narrowest, widest] = subgroups;
        let cooperative_matrix = Self { size, subgroups, takes_fours, most_lanes, workgroup_bytes, is_emulated: false };
        let exist = matches!(size, 8 | 16)
            && narrowest.is_power_of_two()
            && widest.is_power_of_two()
            && narrowest <= widest
            && cooperative_matrix.have_room_for(&Shares::SMALL);
        exist.then_some(cooperative_matrix)
    }

    /// Invocations of a workgroup: enough for every share, whatever width the driver gives subgroups.
    pub(crate) fn lanes(&self, shares: &Shares) -> usize {
        shares.count() * self.subgroups[1]
    }

    /// Subgroups that a workgroup has at most.
    pub(crate) fn most_subgroups(&self, shares: &Shares) -> usize {
        self.lanes(shares) / self.subgroups[0]
    }

    /// Whether a workgroup's invocations are enough, and share a tile's values evenly, and whether its memory holds two tiles
    /// of f16, 32 products deep (lines of 8 values more than they need), and a strip of 256 results (rows of 256 / size + 4) a
    /// subgroup.
    pub(crate) fn have_room_for(&self, shares: &Shares) -> bool {
        let strips = self.most_subgroups(shares) * 4 * (256 + 4 * self.size);
        self.lanes(shares) <= self.most_lanes.min(512)
            && 2 * 40 * (shares.rows + shares.columns) + strips <= self.workgroup_bytes
    }
}

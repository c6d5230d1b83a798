//! Weir's control plane.

//! HTTP with hyper: routes, connections, limits.

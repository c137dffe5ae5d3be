//! The process around it: descriptors, capabilities, signals.

//! Schemas of services as data.

//! Catalog entities in the format of Backstage.

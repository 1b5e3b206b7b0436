//! Hand-built facts for the rules' own tests.

#![forbid(unsafe_op_in_unsafe_fn)]
pub mod judgement;
pub mod words;

pub mod config;
pub mod daemon;
pub mod engine;
pub mod expose;
pub mod judgement;
pub mod outward;
pub mod words;

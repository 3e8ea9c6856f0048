//! The model holds for the product's rules, and fails for wrong ones.
mod lease;
mod payment;

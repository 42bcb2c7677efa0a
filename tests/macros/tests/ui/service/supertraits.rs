use mdp_runtime::mdp_service;

#[mdp_service]
trait Fine: Send + Sync + 'static {}

#[mdp_service]
trait Auth: Send + Clone + std::fmt::Debug {}

#[mdp_service]
unsafe trait Dangerous {}

#[mdp_service]
auto trait Automatic {}

fn main() {}

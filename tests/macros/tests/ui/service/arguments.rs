use mdp_runtime::mdp_service;

#[mdp_service(pakage = "a.v1")]
trait Unknown {}

#[mdp_service(package = "a.v1", package = "b.v1")]
trait Twice {}

#[mdp_service(package = a.v1)]
trait NoText {}

#[mdp_service(package = "a-b.v1")]
trait NoPackage {}

#[mdp_service(name = "2nd")]
trait NoName {}

#[mdp_service(name)]
trait NoValue {}

#[mdp_service(timeout_ms = "1s")]
trait NoNumber {}

#[mdp_service(timeout_ms = 0)]
trait NoTime {}

#[mdp_service(timeout_ms = 5_000_000_000)]
trait TooMuchTime {}

#[mdp_service(crate = self::runtime)]
trait NotFromTheRoot {}

#[mdp_service(crate = "mdp_runtime")]
trait NoPath {}

#[mdp_service("a.v1")]
trait NoKey {}

fn main() {}

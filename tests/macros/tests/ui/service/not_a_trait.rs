use mdp_runtime::mdp_service;

#[mdp_service(package = "a.v1")]
struct Auth {
    user: String,
}

#[mdp_service]
async fn login() {}

fn main() {
    // Both are there, so that nothing else is said about them.
    let Auth { user: _ } = Auth { user: String::new() };
    drop(login());
}

use mdp_runtime::{Status, mdp_service};

#[mdp_service]
trait Auth {
    fn a(&self) -> Result<(), Status>;
    fn b(&self) -> impl Future<Output = Result<(), Status>>;
    async unsafe fn c(&self) -> Result<(), Status>;
    async extern "C" fn d(&self) -> Result<(), Status>;
}

fn main() {}

use mdp_runtime::{Status, mdp_service};

#[mdp_service]
trait Store<T> {
    async fn get(&self) -> Result<T, Status>;
}

#[mdp_service]
trait Where
where
    Self: Sized,
{
}

#[mdp_service]
trait Methods {
    async fn get<T>(&self, req: T) -> Result<(), Status>;
    async fn lifetime<'a>(&'a self) -> Result<(), Status>;
    async fn condition(&self) -> Result<(), Status>
    where
        Self: Sized;
}

fn main() {}

// Arguments and values are fields of records, with the rules of fields.
use mdp_runtime::{MdpRecord, Status, mdp_service};

#[derive(MdpRecord)]
enum Role {
    Unknown = 0,
}

#[derive(MdpRecord)]
struct Id(u64);

struct Foreign;

#[mdp_service]
trait Types {
    async fn a(&self, small: u8, nested: Vec<Vec<u32>>) -> Result<usize, Status>;
    async fn b(&self, #[mdp(2)] id: u64, #[mdp(2)] other: u64, #[mdp(19000)] far: u64) -> Result<(), Status>;
    async fn c(&self, #[mdp(1, fixed64)] id: u32) -> Result<(), Status>;
    async fn d(&self, foreign: Foreign, id: u64) -> Result<Vec<Foreign>, Status>;
}

// By their names these are records.
#[mdp_service]
trait NoRecords {
    async fn a(&self, role: Role) -> Result<(), Status>;
    async fn b(&self, id: Id) -> Result<(), Status>;
    async fn c(&self) -> Result<Role, Status>;
    async fn d(&self) -> Result<Foreign, Status>;
}

fn main() {}

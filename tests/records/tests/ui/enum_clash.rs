//! Enums whose values have one name in the schema: `JOB_STATE_DONE`.

use mdp_runtime::MdpRecord;

#[derive(MdpRecord)]
enum Job {
    StateDone = 0,
}

#[derive(MdpRecord)]
enum JobState {
    Done = 0,
}

#[derive(MdpRecord)]
#[mdp(package = "other.v1", name = "JobState")]
enum Elsewhere {
    Done = 0,
}

#[derive(MdpRecord)]
struct Clash {
    #[mdp(1)]
    job: Job,
    #[mdp(2)]
    name: String,
    #[mdp(3)]
    states: Vec<JobState>,
}

#[derive(MdpRecord)]
struct Apart {
    #[mdp(1)]
    job: Job,
    #[mdp(2)]
    again: Option<Job>,
    #[mdp(3)]
    elsewhere: Elsewhere,
}

fn main() {}

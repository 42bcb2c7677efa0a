mod declared {
    // block
}

use declared::{DynGreeter, GreetReply, GreetRequest, Greeter, GreeterClient, GreeterWorker};
use mdp_runtime::Status;

use crate::auth as pb;

struct Polite;

impl Greeter for Polite {
    async fn greet(&self, req: GreetRequest) -> Result<GreetReply, Status> {
        Ok(GreetReply { greeting: format!("Good day, {}.", req.name) })
    }
}

#[tokio::test]
async fn a_service_is_declared_as_a_trait() -> crate::Ran {
    let greeter = GreeterClient::in_memory(GreeterWorker::new(Polite));
    let reply = greeter.greet(GreetRequest { name: "Ann".into() }).await?;
    assert_eq!(reply.greeting, "Good day, Ann.");
    Ok(())
}

mod items {
    // block

    pub(super) struct Shelf;

    impl Items for Shelf {
        async fn find(&self, text: String, limit: Option<u32>) -> Result<Vec<Item>, Status> {
            Ok(vec![Item { name: text }; limit.unwrap_or(3) as usize])
        }
    }
}

#[tokio::test]
async fn values_travel_and_methods_are_left_out() -> crate::Ran {
    let client = items::ItemsClient::in_memory(items::ItemsWorker::new(items::Shelf));
    assert_eq!(client.find("a".into(), Some(2)).await?.len(), 2);
    assert_eq!(client.count("a".into()).await?, 3);
    let status = client.expire(std::time::Duration::from_secs(1)).await.unwrap_err();
    assert_eq!(status.code(), mdp_runtime::Code::Unimplemented);
    Ok(())
}

mod store {
    // block

    pub(super) struct Disk;

    impl Store for Disk {
        async fn read(&self, name: String) -> Result<Vec<u8>> {
            match name.as_str() {
                "disk" => Err(StoreError::Disk(std::io::ErrorKind::StorageFull.into())),
                _ => Err(StoreError::Missing(name)),
            }
        }
    }
}

#[tokio::test]
async fn errors_become_statuses() {
    let client = store::StoreClient::in_memory(store::StoreWorker::new(store::Disk));
    let status = client.read("x".into()).await.unwrap_err();
    assert_eq!(status.to_string(), "NOT_FOUND: store.v1.Store/Read: x");
    let status = client.read("disk".into()).await.unwrap_err();
    assert_eq!(status.code(), mdp_runtime::Code::ResourceExhausted);
}

mod loud {
    use super::*;

    // block

    #[tokio::test]
    async fn decorators_take_clients() -> crate::Ran {
        for (loud, greeting) in [(true, "GOOD DAY, ANN."), (false, "Good day, Ann.")] {
            let remote = GreeterClient::in_memory(GreeterWorker::new(Polite));
            let greeter = GreeterClient::in_memory(GreeterWorker::new(chosen(loud, remote)));
            let reply = greeter.greet(GreetRequest { name: "Ann".into() }).await?;
            assert_eq!(reply.greeting, greeting);
        }
        Ok(())
    }
}

mod types {
    // block

    #[test]
    fn they_come_back() -> crate::Ran {
        use mdp_runtime::codegen::prost::Message;

        let session = Session {
            user: UserId("ann".into()),
            address: Some([127, 0, 0, 1].into()),
            port: 80,
            idle: Duration::from_millis(1_500),
            events: vec![Event::Renamed(UserId("bob".into())), Event::Ended(())],
        };
        assert_eq!(Session::decode(session.encode_to_vec().as_slice())?, session);
        Ok(())
    }
}

mod well_known {
    // block

    #[test]
    fn an_hour_passes() -> crate::Ran {
        assert_eq!(an_hour_later(Timestamp { seconds: 5, nanos: 6 })?.seconds, 3_605);
        Ok(())
    }
}

// with "auth.binpb" as concat!(env!("CARGO_TARGET_TMPDIR"), "/auth.binpb")
// block

//! The services of `src/values.rs`, implemented and called.

#![deny(warnings)]
// A test names its fault by failing.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use mdp_runtime::codegen::prost_types::FileDescriptorProto;
use mdp_runtime::{CallContext, Client, Code, Status, Stream, Streaming, stream};
use test_macros::values::{
    Defaults, DefaultsClient, DefaultsWorker, DynDefaults, DynErrors, DynItems, Errors,
    ErrorsClient, ErrorsWorker, Event, Id, Item, Items, ItemsClient, ItemsWorker, KEY, Mood, Wrong,
    inner, items_service, results,
};

fn item(id: u64, name: &str) -> Item {
    Item { id: Id(id), name: name.to_owned() }
}

struct Store;

impl Items for Store {
    async fn get(&self, id: u64, tag: Option<String>) -> Result<Vec<Item>, Status> {
        match tag {
            Some(tag) => Ok(vec![item(id, &tag), item(id + 1, &tag)]),
            None => Ok(Vec::new()),
        }
    }

    async fn length(&self, cx: &CallContext, name: String) -> Result<u32, Status> {
        assert_eq!(cx.method(), "values.v1.Items/Length");
        u32::try_from(name.len()).map_err(|_| Status::out_of_range("too long"))
    }

    async fn kinds(
        &self,
        at: SystemTime,
        key: [u8; KEY],
        thing: inner::Thing,
        r#type: Duration,
        mut by_id: BTreeMap<u64, Item>,
    ) -> Result<BTreeMap<u64, Item>, Status> {
        let name = format!("{} {key:?} {type:?}", thing.name);
        let seconds = at.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
        by_id.insert(seconds, item(seconds, &name));
        Ok(by_id)
    }

    async fn numbered(&self, low: i64, id: Id) -> Result<i64, Status> {
        Ok(low - i64::try_from(id.0).unwrap())
    }

    async fn mood(&self, id: Id) -> Result<Mood, Status> {
        Ok(if id.0 == 0 { Mood::Unknown } else { Mood::Well })
    }

    async fn react(&self, event: Event) -> Result<Event, Status> {
        match event {
            Event::Added(item) => Ok(Event::Removed(item.id)),
            Event::Removed(id) => Err(Status::not_found(format!("{id:?}"))),
        }
    }

    async fn forget(&self, ids: Vec<Id>, all: bool) -> Result<(), Status> {
        if all || ids.is_empty() { Ok(()) } else { Err(Status::aborted("some")) }
    }

    fn add(&self, one: i32, other: i32) -> Result<i32, Status> {
        Ok(one + other)
    }

    async fn watch(
        &self,
        from: u64,
        to: u64,
    ) -> Result<impl Stream<Item = Result<Event, Status>>, Status> {
        let (events, replies) = stream::channel(8);
        tokio::spawn(async move {
            for id in from..to {
                events.send(Event::Removed(Id(id))).await.unwrap();
            }
        });
        Ok(replies)
    }
}

async fn all<T>(stream: impl Stream<Item = Result<T, Status>>) -> Vec<T> {
    let mut stream = pin!(stream);
    let mut found = Vec::new();
    while let Some(next) = std::future::poll_fn(|cx| stream.as_mut().poll_next(cx)).await {
        found.push(next.unwrap());
    }
    found
}

/// What each implementation of the trait answers, whatever stands for it.
async fn asked(items: &impl Items) {
    let tag = || Some("x".to_owned());
    assert_eq!(items.get(7, tag()).await.unwrap(), [item(7, "x"), item(8, "x")]);
    assert_eq!(items.get(7, None).await.unwrap(), []);
    assert_eq!(items.numbered(-5, Id(3)).await.unwrap(), -8);
    assert_eq!(items.mood(Id(1)).await.unwrap(), Mood::Well);
    let event = items.react(Event::Added(item(9, "nine"))).await.unwrap();
    assert_eq!(event, Event::Removed(Id(9)));
    assert_eq!(items.react(event).await.unwrap_err().message(), "Id(9)");
    items.forget(Vec::new(), false).await.unwrap();
    assert_eq!(items.forget(vec![Id(1)], false).await.unwrap_err().code(), Code::Aborted);
    let events = all(items.watch(1, 3).await.unwrap()).await;
    assert_eq!(events, [Event::Removed(Id(1)), Event::Removed(Id(2))]);
}

#[tokio::test(flavor = "multi_thread")]
async fn arguments_and_values_travel() {
    let client = ItemsClient::in_memory(ItemsWorker::new(Store));
    assert_eq!(client.get(7, Some("x".to_owned())).await.unwrap().len(), 2);
    assert_eq!(client.length("four".to_owned()).await.unwrap(), 4);
    assert_eq!(client.numbered(1, Id(2)).timeout(Duration::from_secs(9)).await.unwrap(), -1);
    assert_eq!(client.add(2, -5).await.unwrap(), -3);
    let at = SystemTime::UNIX_EPOCH + Duration::from_secs(3);
    let known = BTreeMap::from([(1, item(1, "one"))]);
    let kinds = client.kinds(at, [1; KEY], item(2, "two"), Duration::from_secs(4), known);
    let kinds = kinds.send().await.unwrap();
    assert_eq!(kinds.message()[&3], item(3, "two [1, 1, 1, 1] 4s"));
    assert_eq!(kinds.into_message().len(), 2);
    let sum = tokio::task::spawn_blocking(move || client.add(20, 1).wait());
    assert_eq!(sum.await.unwrap().unwrap(), 21);
}

#[tokio::test(flavor = "multi_thread")]
async fn pointers_clients_and_any_implementation_implement_the_trait() {
    asked(&Store).await;
    asked(&Arc::new(Store)).await;
    asked(&Arc::new(Arc::new(Store))).await;
    asked(&DynItems::new(Store)).await;
    let client = || ItemsClient::in_memory(ItemsWorker::new(Arc::new(Store)));
    asked(&client()).await;
    // A client behind a worker behind a client, chosen at run time.
    let chosen = DynItems::new(ItemsClient::in_memory(ItemsWorker::new(client())));
    asked(&ItemsClient::in_memory(ItemsWorker::new(chosen.clone()))).await;
    asked(&chosen).await;
}

#[test]
fn the_exported_schema_has_the_records() {
    let schema = items_service::schema();
    let file = schema.descriptors().file.iter().find(|file| file.package() == "values.v1");
    let file: &FileDescriptorProto = file.unwrap();
    let fields = |name: &str| -> Vec<(String, i32)> {
        let message = file.message_type.iter().find(|message| message.name() == name).unwrap();
        message.field.iter().map(|field| (field.name().to_owned(), field.number())).collect()
    };
    let named = |fields: &[(&str, i32)]| -> Vec<(String, i32)> {
        fields.iter().map(|(name, number)| ((*name).to_owned(), *number)).collect()
    };
    assert_eq!(fields("ItemsGetRequest"), named(&[("id", 1), ("tag", 2)]));
    assert_eq!(fields("ItemsGetReply"), named(&[("value", 1)]));
    assert_eq!(fields("ItemsLengthRequest"), named(&[("name", 1)]));
    assert_eq!(fields("ItemsNumberedRequest"), named(&[("low", 3), ("id", 1)]));
    assert_eq!(
        fields("ItemsKindsRequest"),
        named(&[("at", 1), ("key", 2), ("thing", 3), ("type", 4), ("by_id", 5)])
    );
    assert_eq!(fields("Event"), named(&[("added", 1), ("removed", 2)]));
    let methods = &file.service.first().unwrap().method;
    let get = methods.iter().find(|method| method.name() == "Get").unwrap();
    assert_eq!(get.input_type(), ".values.v1.ItemsGetRequest");
    assert_eq!(get.output_type(), ".values.v1.ItemsGetReply");
    let react = methods.iter().find(|method| method.name() == "React").unwrap();
    assert_eq!((react.input_type(), react.output_type()), (".values.v1.Event", ".values.v1.Event"));
    assert!(schema.hash().unwrap().is_some());
}

/// Leaves out all that it may leave out.
struct Short;

impl Defaults for Short {
    async fn name(&self, item: Item) -> Result<Item, Status> {
        Ok(Item { name: format!("{}!", item.name), ..item })
    }

    async fn echo(
        &self,
        _: &CallContext,
        items: Streaming<Item>,
    ) -> Result<impl Stream<Item = Result<Item, Status>>, Status> {
        Ok(items)
    }

    async fn count(&self, mut items: Streaming<Item>) -> Result<Item, Status> {
        let mut count = 0;
        while items.message().await?.is_some() {
            count += 1;
        }
        Ok(item(count, ""))
    }
}

/// Writes what `Short` leaves out.
struct Long;

impl Defaults for Long {
    async fn name(&self, item: Item) -> Result<Item, Status> {
        Ok(item)
    }

    async fn twice(&self, _: &CallContext, _: Item) -> Result<Item, Status> {
        Ok(item(2, "own"))
    }

    async fn later(&self, item: Item) -> Result<Item, Status> {
        Ok(item)
    }

    async fn echo(
        &self,
        _: &CallContext,
        mut items: Streaming<Item>,
    ) -> Result<impl Stream<Item = Result<Item, Status>>, Status> {
        items.message().await?;
        Ok(items)
    }

    async fn count(&self, _: Streaming<Item>) -> Result<Item, Status> {
        Err(Status::aborted("not counted"))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_method_with_a_body_may_be_left_out() {
    let short = DefaultsClient::in_memory(DefaultsWorker::new(Short));
    assert_eq!(short.twice(item(1, "a")).await.unwrap(), item(1, "a!!"));
    assert_eq!(short.sum(2, 3).await.unwrap(), 5);
    assert_eq!(short.block(item(3, "b")).await.unwrap(), item(3, "b"));
    assert_eq!(all(short.empty().await.unwrap()).await, []);
    for status in [
        short.later(item(1, "a")).await.unwrap_err(),
        short.much_later().await.map(drop).unwrap_err(),
    ] {
        assert_eq!(status.code(), Code::Unimplemented, "{status}");
        assert!(status.message().starts_with("this worker does not implement values.v1.Defaults/"));
    }
    let long = DefaultsClient::in_memory(DefaultsWorker::new(Long));
    assert_eq!(long.twice(item(1, "a")).await.unwrap(), item(2, "own"));
    assert_eq!(long.later(item(1, "a")).await.unwrap(), item(1, "a"));
}

/// A client whose calls go through `clients` more clients.
fn behind(inner: impl Defaults + Clone, clients: usize) -> DefaultsClient {
    let mut client = DefaultsClient::in_memory(DefaultsWorker::new(inner));
    for _ in 0..clients {
        client = DefaultsClient::in_memory(DefaultsWorker::new(client));
    }
    client
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_pass_through_clients() {
    let client = behind(Arc::new(Short), 2);
    let (mut sender, mut replies) = client.echo().start();
    for id in 0..100 {
        sender.send(item(id, "x")).await.unwrap();
        assert_eq!(replies.message().await.unwrap().unwrap(), item(id, "x"));
    }
    sender.finish();
    assert_eq!(replies.message().await.unwrap(), None);
    let (mut sender, reply) = client.count().start();
    for id in 0..100 {
        sender.send(item(id, "x")).await.unwrap();
    }
    sender.finish();
    assert_eq!(reply.await.unwrap(), item(100, ""));
    // What begins after the first request only, and what ends before the requests do.
    let client = behind(Arc::new(Long), 2);
    let (mut sender, mut replies) = client.echo().start();
    for id in 0..2 {
        sender.send(item(id, "x")).await.unwrap();
    }
    assert_eq!(replies.message().await.unwrap().unwrap(), item(1, "x"));
    let (_sender, reply) = client.count().start();
    assert_eq!(reply.await.unwrap_err().code(), Code::Aborted);
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_pass_through_any_implementation() {
    let client = behind(DynDefaults::new(DynDefaults::new(Arc::new(Short))), 1);
    let (mut sender, mut replies) = client.echo().start();
    for id in 0..100 {
        sender.send(item(id, "x")).await.unwrap();
        assert_eq!(replies.message().await.unwrap().unwrap(), item(id, "x"));
    }
    sender.finish();
    assert_eq!(replies.message().await.unwrap(), None);
    assert_eq!(all(client.empty().await.unwrap()).await, []);
    assert_eq!(client.much_later().await.map(drop).unwrap_err().code(), Code::Unimplemented);
    // The handler fails before its stream.
    let client = behind(DynDefaults::new(Long), 0);
    let (sender, mut replies) = client.echo().start();
    drop(sender);
    assert_eq!(replies.message().await.unwrap_err().code(), Code::Cancelled);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_half_stream_is_no_whole_one_behind_clients_either() {
    let client = behind(Arc::new(Short), 2);
    let (mut sender, reply) = client.count().start();
    sender.send(item(1, "x")).await.unwrap();
    drop(sender);
    assert_eq!(reply.await.unwrap_err().code(), Code::Cancelled);
}

#[derive(Clone, Copy)]
struct Failing;

impl Errors for Failing {
    async fn written(&self, item: Item) -> Result<Item, Wrong> {
        if item.id.0 == 0 { Err(Wrong::Missing) } else { Ok(item) }
    }

    async fn alias(&self, item: Item) -> results::Result<Item> {
        self.written(item).await
    }

    async fn values(&self, one: u32, other: u32) -> results::Result<Vec<u32>> {
        if one == other { Err(Wrong::Missing) } else { Ok(vec![one, other]) }
    }

    fn blocks(&self, _: Item) -> Result<Item, Wrong> {
        Err(Wrong::Missing)
    }

    async fn streams(&self) -> Result<impl Stream<Item = Result<Item, Status>>, Wrong> {
        let none: Pin<Box<dyn Stream<Item = Result<Item, Status>> + Send>> =
            Box::pin(stream::channel(1).1);
        if none.size_hint().0 == 0 { Err(Wrong::Missing) } else { Ok(none) }
    }

    async fn plain(&self) -> Result<(), Status> {
        Err(Wrong::Missing)?;
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_of_the_user_become_statuses() {
    // The error is the user's own where the trait is used in the process.
    assert_eq!(Arc::new(Failing).written(item(0, "")).await, Err(Wrong::Missing));
    assert_eq!(DynErrors::new(Failing).alias(item(0, "")).await, Err(Wrong::Missing));
    let client = ErrorsClient::in_memory(ErrorsWorker::new(DynErrors::new(Failing)));
    assert_eq!(client.written(item(1, "")).await.unwrap(), item(1, ""));
    assert_eq!(client.values(1, 2).await.unwrap(), [1, 2]);
    for status in [
        client.written(item(0, "")).await.unwrap_err(),
        client.alias(item(0, "")).await.unwrap_err(),
        client.values(1, 1).await.unwrap_err(),
        client.blocks(item(1, "")).await.unwrap_err(),
        client.streams().await.map(drop).unwrap_err(),
        client.plain().await.unwrap_err(),
    ] {
        assert_eq!((status.code(), status.message()), (Code::NotFound, "missing"), "{status}");
    }
    let _: fn(Client) -> ErrorsClient = ErrorsClient::new;
}

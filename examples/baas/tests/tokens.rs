//! What a token is good for, and what is no token (attack A26 and its like), over tcp with CURVE.

// A test names its fault by failing.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod support;

use std::time::Duration;

use example_baas::clock::Clock;
use example_baas::hooks::{AUTHORIZATION, EXPIRES_IN};
use example_baas::pb::{AddRequest, ListRequest, PurgeRequest};
use example_baas::store::Store;
use example_baas::token::{Claims, Fault, LONGEST, MAX_BYTES, Tokens};
use mdp_runtime::{Code, Status};
use support::{Device, PASSWORD, Spy, World, reason};

/// A world with a Notes worker and an Auth worker that knows ann, and ann's devices.
struct Scene {
    world: World,
    spy: Spy,
    laptop: Device,
    phone: Device,
    _workers: [mdp_runtime::Worker; 2],
}

impl Scene {
    async fn new() -> Self {
        Scene::with_tokens_for(LONGEST).await
    }

    async fn with_tokens_for(lifetime: Duration) -> Self {
        let (world, spy) = (World::with_tokens_for(lifetime), Spy::default());
        let workers = [world.auth("auth-1", &spy), world.notes(&spy)];
        let (laptop, phone) = (world.device("laptop").await, world.device("phone").await);
        laptop.sign_up("ann").await;
        Scene { world, spy, laptop, phone, _workers: workers }
    }

    /// The public key of the laptop.
    fn key(&self) -> String {
        self.world.setup.public_key("laptop").unwrap().to_string()
    }

    /// A token that differs from a good one in what is changed.
    fn sealed(&self, change: impl FnOnce(&mut Claims)) -> String {
        let iat = self.world.clock.seconds();
        let mut claims = Claims {
            sub: "ann".into(),
            rights: vec!["notes".into()],
            iat,
            exp: iat + 60,
            aud: "baas".into(),
            cnf: self.key(),
        };
        change(&mut claims);
        format!("Bearer {}", self.world.tokens.seal(&claims).unwrap())
    }

    /// A call with this token is refused for this reason, and no worker sees it.
    async fn refuses(&self, token: impl Into<Vec<u8>>, fault: Fault) {
        let before = self.spy.seen().len();
        let status = self.laptop.list(token).await.unwrap_err();
        assert_eq!(
            (status.code(), reason(&status)),
            (Code::Unauthenticated, fault.reason().into())
        );
        assert_eq!(status.message(), fault.to_string());
        assert!(status.not_started(), "{status}");
        assert_eq!(self.spy.seen().len(), before, "{status}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a26_a_token_counts_over_the_connection_of_its_key_only() {
    let scene = Scene::new().await;
    let token = scene.laptop.token("ann").await;
    assert_eq!(scene.laptop.list(token.clone()).await.unwrap().user, "ann");
    let status = scene.phone.list(token).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::Unauthenticated, "TOKEN_KEY"));
    // Each device has a token of its own.
    let token = scene.phone.token("ann").await;
    assert_eq!(scene.phone.list(token.clone()).await.unwrap().user, "ann");
    scene.refuses(token, Fault::Key).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a26_no_token_lasts_longer_than_a_quarter_of_an_hour() {
    let hour = Duration::from_secs(3600);
    let scene = Scene::with_tokens_for(hour).await;
    let response = scene.laptop.login("ann", PASSWORD).await.unwrap();
    assert_eq!(response.metadata().get_str(EXPIRES_IN), Some("900"));
    let token = response.metadata().get_str(AUTHORIZATION).unwrap();
    scene.world.hand.forward(Duration::from_secs(800));
    scene.laptop.list(token).await.unwrap();
    scene.world.hand.forward(Duration::from_secs(100));
    scene.refuses(token, Fault::Expired).await;
    // Nor if one were made.
    scene.refuses(scene.sealed(|claims| claims.exp += 900), Fault::Lifetime).await;
    scene.refuses(scene.sealed(|claims| claims.iat += 30), Fault::Lifetime).await;
    scene.laptop.list(scene.sealed(|claims| claims.exp = claims.iat + 900)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a26_a_token_for_another_audience_is_refused() {
    let scene = Scene::new().await;
    scene.laptop.list(scene.sealed(|_| {})).await.unwrap();
    for audience in ["", "other", "baas ", "BAAS"] {
        scene.refuses(scene.sealed(|claims| claims.aud = audience.into()), Fault::Audience).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_with_any_byte_altered_is_refused() {
    let scene = Scene::new().await;
    let token = scene.laptop.token("ann").await;
    let bare = token.strip_prefix("Bearer ").unwrap();
    let key = scene.key();
    assert!(scene.world.tokens.check(bare, &key).is_ok());
    let mut altered_tokens = Vec::new();
    for place in 0..bare.len() {
        for bit in [1, 2, 4, 8, 16, 32, 64, 128] {
            let mut bytes = bare.as_bytes().to_vec();
            bytes[place] ^= bit;
            // As text or not at all: the hook takes nothing else.
            let Ok(altered) = String::from_utf8(bytes) else { continue };
            let found = scene.world.tokens.check(&altered, &key);
            assert_eq!(found, Err(Fault::Altered), "byte {place}, bit {bit}: {altered}");
            altered_tokens.push(altered);
        }
    }
    assert!(altered_tokens.len() >= bare.len() * 7);
    // The same over the wire, for one of them in a hundred, and for what was cut off or put on.
    for altered in altered_tokens.iter().step_by(100) {
        scene.refuses(format!("Bearer {altered}"), Fault::Altered).await;
    }
    scene.refuses(&token[..token.len() - 1], Fault::Altered).await;
    scene.refuses(format!("{token}A"), Fault::Altered).await;
    scene.refuses(format!("{token}.e30"), Fault::Altered).await;
    scene.laptop.list(token).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_token_of_this_broker_is_refused() {
    let scene = Scene::new().await;
    let token = scene.laptop.token("ann").await;
    let bare = token.strip_prefix("Bearer ").unwrap();
    // Another version or purpose, which the checker does not let the token choose.
    for header in ["v1.local.", "v2.local.", "v3.local.", "v4.public.", "V4.local.", "none."] {
        scene.refuses(token.replace("v4.local.", header), Fault::Altered).await;
    }
    let unsigned = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbm4iLCJhdWQiOiJiYWFzIn0.";
    let long = "A".repeat(MAX_BYTES + 1);
    for text in [unsigned, "", "v4.local.", "v4.local.AAAA", &long] {
        scene.refuses(format!("Bearer {text}"), Fault::Altered).await;
    }
    // By the key of another broker, or of this one before it was started anew.
    let other = Tokens::new(Clock::system(), LONGEST).unwrap();
    let foreign = other.issue("ann".into(), vec!["notes".into()], &scene.key()).unwrap();
    scene.refuses(format!("Bearer {foreign}"), Fault::Altered).await;

    for value in [bare, "", "Bearer", "bearer x", "Basic YW5uOng="] {
        scene.refuses(value, Fault::Form).await;
    }
    scene.refuses([b"Bearer \xff".as_slice()].concat(), Fault::Form).await;
    let twice = scene.laptop.notes.list(ListRequest {});
    let twice = twice.metadata(AUTHORIZATION, token.clone()).metadata(AUTHORIZATION, token);
    assert_eq!(reason(&twice.await.unwrap_err()), "TOKEN_FORM");
    let none = scene.laptop.notes.list(ListRequest {}).await.unwrap_err();
    assert_eq!((none.code(), reason(&none).as_str()), (Code::Unauthenticated, "TOKEN_MISSING"));
    assert!(none.not_started());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_method_needs_its_right_and_a_token_keeps_the_rights_it_was_made_with() {
    let scene = Scene::new().await;
    let purge = async |token: &str| -> Result<u32, Status> {
        let call = scene.laptop.notes.purge(PurgeRequest { user: "ann".into() });
        Ok(call.metadata(AUTHORIZATION, token.to_owned()).await?.deleted)
    };
    let token = scene.laptop.token("ann").await;
    let add = scene.laptop.notes.add(AddRequest { text: "a".into() });
    add.metadata(AUTHORIZATION, token.clone()).await.unwrap();
    let status = purge(&token).await.unwrap_err();
    assert_eq!(status.code(), Code::PermissionDenied);
    assert!(status.message().contains("`notes.admin`") && status.not_started(), "{status}");
    assert_eq!(scene.spy.count("baas.v1.Notes/Purge"), 0);

    let store = Store::open(&scene.world.database).unwrap();
    assert!(store.grant("ann", "notes.admin").unwrap());
    assert_eq!(purge(&token).await.unwrap_err().code(), Code::PermissionDenied);
    assert_eq!(purge(&scene.laptop.token("ann").await).await.unwrap(), 1);

    // A right that merely begins like the one that is needed.
    for right in ["notes.adm", "notes.admin2", "note", ""] {
        let token = scene.sealed(|claims| claims.rights = vec![right.into()]);
        assert_eq!(purge(&token).await.unwrap_err().code(), Code::PermissionDenied, "{right}");
        assert_eq!(scene.laptop.list(token).await.unwrap_err().code(), Code::PermissionDenied);
    }
}

/// A method of Notes that no rule of the broker's has.
mod forgotten {
    #![allow(missing_docs, unreachable_pub)] // generated

    use mdp_runtime::{MdpRecord, Status, mdp_service};

    #[derive(MdpRecord, Clone, Debug, PartialEq)]
    pub struct Copied {
        #[mdp(1)]
        pub user: String,
    }

    #[mdp_service(package = "baas.v1")]
    pub trait Notes {
        async fn copy(&self, req: Copied) -> Result<Copied, Status>;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_method_without_a_rule_can_be_called_by_nobody() {
    let scene = Scene::new().await;
    let notes = forgotten::NotesClient::new(scene.laptop.client.clone());
    let status = notes.copy(forgotten::Copied::default()).await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
    let token = scene.sealed(|claims| claims.rights = vec!["notes".into(), "notes.admin".into()]);
    let status = notes.copy(forgotten::Copied::default()).metadata(AUTHORIZATION, token);
    let status = status.await.unwrap_err();
    assert_eq!(status.code(), Code::PermissionDenied);
    assert!(status.message().contains("no rule") && status.not_started(), "{status}");
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_see_who_calls_as_the_broker_says_and_never_the_token() {
    let scene = Scene::new().await;
    let token = scene.laptop.token("ann").await;
    let list = scene.laptop.notes.list(ListRequest {}).metadata("user", "root");
    let list = list.metadata("rights", "notes.admin").metadata("user", "ben");
    let list = list.metadata("trace", "t-1").metadata(AUTHORIZATION, token.clone());
    assert_eq!(list.await.unwrap().user, "ann");
    // Without a token, too, where none is needed.
    let login = example_baas::pb::LoginRequest { user: "ann".into(), password: PASSWORD.into() };
    let login = scene.laptop.auth.login(login).metadata("user", "root");
    login.metadata(AUTHORIZATION, token).metadata("rights", "all").await.unwrap();

    for (path, metadata) in scene.spy.seen() {
        let mut entries: Vec<(&str, &[u8])> =
            metadata.iter().map(|(key, value)| (key, &**value)).collect();
        entries.sort_unstable();
        let expected: &[(&str, &[u8])] = match path.as_str() {
            "baas.v1.Notes/List" => &[("rights", b"notes"), ("trace", b"t-1"), ("user", b"ann")],
            _ => &[],
        };
        assert_eq!(entries, expected, "{path}");
    }
    assert_eq!(scene.spy.count("baas.v1.Notes/List"), 1);
    assert_eq!(scene.spy.count("baas.v1.Auth/Login"), 2);
}

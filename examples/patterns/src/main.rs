//! Records without a broker, all parts in one process: `cargo run -p example-patterns`.

mod records;

use std::error::Error;

use mdp_runtime::patterns::{Pair, Publisher, Puller, Pusher, Subscriber};
use records::{Move, Order, Weather};

/// Any free port of this machine, which nobody else can reach.
const ANYWHERE: &str = "tcp://127.0.0.1:*";

const ORDERS: u32 = 10;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    weather().await?;
    kitchen().await?;
    chess().await
}

/// Publish and subscribe: each message goes to all who have subscribed to its topic.
async fn weather() -> Result<(), Box<dyn Error>> {
    let stations = Publisher::<Weather>::builder().bind(ANYWHERE).last_value(true).start()?;
    let endpoint = stations.endpoints().first().ok_or("nothing is bound")?;
    for (topic, celsius) in
        [("weather.fr.paris", 21.5), ("weather.fr.lyon", 19.0), ("weather.it.rome", 27.0)]
    {
        stations.send(topic, &Weather { celsius }).await?;
    }
    stations.flush().await?;

    // Who subscribes now gets the last value of each topic that begins so.
    let mut france = Subscriber::builder().connect(endpoint).subscribe("weather.fr.").start()?;
    hear("france", &mut france, 2).await?;
    let mut all = Subscriber::builder().connect(endpoint).subscribe("").start()?;
    hear("all", &mut all, 3).await?;

    // The last values were sent once more for the second one, so a value may come twice.
    stations.send("weather.it.rome", &Weather { celsius: 26.0 }).await?;
    stations.send("weather.fr.paris", &Weather { celsius: 18.0 }).await?;
    while let Some(weather) = france.recv().await? {
        if weather.message.celsius == 18.0 {
            say("france", weather.topic, &weather.message);
            break;
        }
    }
    stations.shutdown().await;
    Ok(())
}

async fn hear(
    who: &str,
    subscriber: &mut Subscriber<Weather>,
    times: usize,
) -> Result<(), Box<dyn Error>> {
    for _ in 0..times {
        let weather = subscriber.recv().await?.ok_or("the socket is closed")?;
        say(who, weather.topic, &weather.message);
    }
    Ok(())
}

fn say(who: &str, topic: impl std::fmt::Display, weather: &Weather) {
    println!("weather: {who} hears {topic}: {:.1} °C", weather.celsius);
}

/// Push and pull: each message goes to one of those who pull.
async fn kitchen() -> Result<(), Box<dyn Error>> {
    let orders = Pusher::<Order>::builder().bind(ANYWHERE).start()?;
    let endpoint = orders.endpoints().first().ok_or("nothing is bound")?;
    let mut cooks = [
        Puller::<Order>::builder().connect(endpoint).start()?,
        Puller::<Order>::builder().connect(endpoint).start()?,
    ];
    let [first, second] = &mut cooks;
    // Each cook gets an order before the others come: until then the second one may not have arrived.
    let (mut by_first, mut by_second) = (Vec::new(), Vec::new());
    for number in 0.. {
        if number >= ORDERS && !by_first.is_empty() && !by_second.is_empty() {
            break;
        }
        orders.send(&Order { number }).await?; // waits if nobody has room for it
        tokio::select! {
            order = first.recv() => by_first.extend(order?),
            order = second.recv() => by_second.extend(order?),
        }
    }
    let mut numbers: Vec<u32> =
        by_first.iter().chain(&by_second).map(|order| order.number).collect();
    numbers.sort_unstable();
    numbers.truncate(ORDERS as usize);
    if numbers != Vec::from_iter(0..ORDERS) {
        return Err(format!("{numbers:?} were cooked").into());
    }
    println!("kitchen: {ORDERS} orders were cooked, each once");
    println!("kitchen: both cooks had some");
    orders.shutdown().await;
    Ok(())
}

/// A pair: two sides, and both speak.
async fn chess() -> Result<(), Box<dyn Error>> {
    let mut white = Pair::<Move>::builder().bind(ANYWHERE).start()?;
    let endpoint = white.endpoints().first().ok_or("nothing is bound")?;
    let mut black = Pair::<Move>::builder().connect(endpoint).start()?;
    for (mine, answer) in [("e4", "e5"), ("Nf3", "resigns")] {
        white.send(&Move { text: mine.into() }).await?;
        let seen = black.recv().await?.ok_or("the socket is closed")?;
        println!("chess: white plays {}", seen.text);
        black.send(&Move { text: answer.into() }).await?;
        let seen = white.recv().await?.ok_or("the socket is closed")?;
        println!("chess: black plays {}", seen.text);
    }
    white.shutdown().await;
    black.shutdown().await;
    Ok(())
}

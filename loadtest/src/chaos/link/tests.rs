use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    task::JoinHandle,
};

use super::{flow::Flow, *};

/// A server that says everything back.
async fn echo() -> (SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let (mut read, mut write) = stream.split();
                drop(tokio::io::copy(&mut read, &mut write).await);
            });
        }
    });
    (address, serving)
}

async fn linked() -> (Link, JoinHandle<()>) {
    let (server, serving) = echo().await;
    (Link::to(server, Residents::default()).await.unwrap(), serving)
}

async fn said_back(stream: &mut TcpStream, text: &[u8]) -> io::Result<()> {
    stream.write_all(text).await?;
    let mut back = vec![0; text.len()];
    stream.read_exact(&mut back).await?;
    assert_eq!(back, text);
    Ok(())
}

/// Long enough to see that nothing comes.
async fn is_silent(stream: &mut TcpStream) -> bool {
    let mut byte = [0];
    tokio::time::timeout(Duration::from_millis(50), stream.read(&mut byte)).await.is_err()
}

#[tokio::test]
async fn bytes_pass_both_ways_and_ends_are_passed_on() {
    let (link, _serving) = linked().await;
    let mut stream = TcpStream::connect(link.address()).await.unwrap();
    said_back(&mut stream, &vec![7; 300_000]).await.unwrap();
    assert_eq!(link.open(Whom::Everyone), 1);
    stream.shutdown().await.unwrap();
    assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
}

#[tokio::test]
async fn a_stalled_direction_holds_everything_until_it_is_healed() {
    for condition in
        [Condition { up: Flow::Stall, ..Condition::default() }, Condition { down: Flow::Stall, ..Condition::default() }]
    {
        let (link, _serving) = linked().await;
        let mut stream = TcpStream::connect(link.address()).await.unwrap();
        said_back(&mut stream, b"before").await.unwrap();
        link.set(Whom::Everyone, condition);
        stream.write_all(b"later").await.unwrap();
        assert!(is_silent(&mut stream).await);
        link.heal();
        let mut back = [0; 5];
        stream.read_exact(&mut back).await.unwrap();
        assert_eq!(&back, b"later");
    }
}

#[tokio::test]
async fn a_dripping_link_is_slow_and_loses_nothing() {
    let (link, _serving) = linked().await;
    let mut stream = TcpStream::connect(link.address()).await.unwrap();
    link.set(Whom::Everyone, Condition::dripping(8, Duration::from_millis(5)));
    let begun = tokio::time::Instant::now();
    said_back(&mut stream, &[1; 64]).await.unwrap();
    assert!(begun.elapsed() >= Duration::from_millis(40), "eight pieces of 5 ms each");
}

#[tokio::test]
async fn open_connections_are_reset_cut_and_half_closed() {
    let (link, _serving) = linked().await;
    let mut stream = TcpStream::connect(link.address()).await.unwrap();
    said_back(&mut stream, b"x").await.unwrap();
    assert_eq!(link.end(Whom::Everyone, End::Reset), 1);
    assert_eq!(stream.read(&mut [0]).await.unwrap_err().kind(), io::ErrorKind::ConnectionReset);

    let mut stream = TcpStream::connect(link.address()).await.unwrap();
    said_back(&mut stream, b"x").await.unwrap();
    link.end(Whom::Everyone, End::Cut);
    assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);

    let mut stream = TcpStream::connect(link.address()).await.unwrap();
    said_back(&mut stream, b"x").await.unwrap();
    // The server hears the end and ends its own direction.
    link.end(Whom::Everyone, End::HalfClose(Direction::Up));
    assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
}

#[tokio::test]
async fn who_may_not_enter_is_reset_or_waits() {
    let (link, _serving) = linked().await;
    link.set(Whom::Everyone, Condition::SHUT);
    let mut stream = TcpStream::connect(link.address()).await.unwrap();
    assert!(said_back(&mut stream, b"x").await.is_err());

    link.set(Whom::Everyone, Condition::STALLED);
    let mut stream = TcpStream::connect(link.address()).await.unwrap();
    stream.write_all(b"late").await.unwrap();
    assert!(is_silent(&mut stream).await);
    link.heal();
    let mut back = [0; 4];
    stream.read_exact(&mut back).await.unwrap();
    assert_eq!(&back, b"late");
}

#[tokio::test]
async fn one_nodes_trouble_is_not_anothers() {
    let (server, _serving) = echo().await;
    let residents = Residents::default();
    let link = Link::to(server, residents.clone()).await.unwrap();
    let mut other = TcpStream::connect(link.address()).await.unwrap();
    said_back(&mut other, b"x").await.unwrap();
    residents.moved_in(2, std::process::id());
    let mut node = TcpStream::connect(link.address()).await.unwrap();
    said_back(&mut node, b"x").await.unwrap();
    assert_eq!((link.open(Whom::Node(2)), link.open(Whom::Everyone)), (1, 2));
    link.set(Whom::Node(2), Condition::STALLED);
    node.write_all(b"y").await.unwrap();
    assert!(is_silent(&mut node).await);
    said_back(&mut other, b"y").await.unwrap();
    // A link of its own server.
    link.heal();
    let (elsewhere, away) = echo().await;
    away.abort();
    drop(away.await);
    link.lead(2, elsewhere);
    let mut node = TcpStream::connect(link.address()).await.unwrap();
    assert!(said_back(&mut node, b"z").await.is_err(), "nobody listens there any more");
}

#[tokio::test]
async fn links_lead_to_this_machine_alone() {
    let refused = Link::to("192.0.2.1:80".parse().unwrap(), Residents::default()).await.unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::InvalidInput);
}

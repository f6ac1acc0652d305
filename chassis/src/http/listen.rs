//! Listening. `[::]` takes IPv4, too, whatever the machine's `bindv6only` says: one address serves the whole network.

use std::io;
use std::net::SocketAddr;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;

/// Connections that wait to be accepted.
const BACKLOG: i32 = 1024;

/// Listens on `address`.
///
/// # Errors
/// When the address is taken, or none of this machine.
pub async fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    match address {
        SocketAddr::V6(v6) if v6.ip().is_unspecified() => both(address),
        _ => TcpListener::bind(address).await,
    }
}

fn both(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::IPV6, Type::STREAM, Some(Protocol::TCP))?;
    socket.set_only_v6(false)?;
    // As the other way does it: a restart takes the address of connections that are still closing.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv4Addr, Ipv6Addr};

    #[tokio::test]
    async fn who_listens_on_every_address_of_ipv6_is_reached_over_ipv4_too() {
        let Ok(listener) = listen((Ipv6Addr::UNSPECIFIED, 0).into()).await else {
            let error = std::net::TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).unwrap_err();
            eprintln!("this machine has no IPv6: {error}");
            return;
        };
        let port = listener.local_addr().unwrap().port();
        let own: [SocketAddr; 2] = [(Ipv4Addr::LOCALHOST, port).into(), (Ipv6Addr::LOCALHOST, port).into()];
        for address in own {
            // A machine may know IPv6 and have no address of it, not even its own.
            if std::net::TcpListener::bind((address.ip(), 0)).is_err() {
                continue;
            }
            let connected = tokio::net::TcpStream::connect(address).await.unwrap();
            let (accepted, peer) = listener.accept().await.unwrap();
            assert_eq!(peer.ip().to_canonical(), address.ip());
            drop((connected, accepted));
        }
    }
}

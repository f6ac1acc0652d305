//! A listening socket that systemd holds for the program (a `.socket` unit): while the program is begun anew, an upgrade included,
//! connections wait in it instead of being refused.

use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};

use listenfd::ListenFd;
use tokio::net::TcpListener;

use crate::http;

/// The socket that systemd has handed over to this process; `None` where there is none. To be called once, before there are
/// other threads: what the environment says of it is taken out, so that no child believes it.
///
/// # Errors
///
/// When what was handed over is not one TCP socket; one line.
pub fn inherited() -> Result<Option<StdListener>, String> {
    // Where it does not say for whom, it may be for another process.
    let ours = std::env::var("LISTEN_PID").is_ok_and(|pid| pid == std::process::id().to_string());
    if !ours {
        return Ok(None);
    }
    let mut sockets = ListenFd::from_env();
    if sockets.len() > 1 {
        let many = sockets.len();
        return Err(format!("systemd hands over {many} sockets; give the .socket unit one ListenStream="));
    }
    let wrong = |cause: io::Error| {
        format!("cannot use systemd's socket: {cause}; give the .socket unit ListenStream=ADDRESS:PORT")
    };
    let Some(listener) = sockets.take_tcp_listener(0).map_err(wrong)? else {
        return Ok(None);
    };
    listener.set_nonblocking(true).map_err(wrong)?;
    Ok(Some(listener))
}

/// Listens on `inherited`, else on `address`.
///
/// # Errors
///
/// When it cannot be listened on.
pub async fn listen(inherited: Option<StdListener>, address: SocketAddr) -> io::Result<TcpListener> {
    match inherited {
        Some(listener) => TcpListener::from_std(listener),
        None => http::listen(address).await,
    }
}

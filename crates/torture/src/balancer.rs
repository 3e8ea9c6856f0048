//! What stands before the nodes: a connection goes to the next node that takes it.
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::net::{TcpListener, TcpStream};

/// Listens on a free port of loopback and spreads connections over these ports; the address.
///
/// # Errors
/// When there is no port.
#[expect(clippy::disallowed_methods, reason = "a server of this program's own")]
pub async fn listen(nodes: Vec<u16>) -> anyhow::Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    let (nodes, next) = (Arc::new(nodes), Arc::new(AtomicUsize::new(0)));
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let (nodes, next) = (nodes.clone(), next.clone());
            tokio::spawn(async move {
                for _ in 0..nodes.len() {
                    let port = nodes[next.fetch_add(1, Ordering::Relaxed) % nodes.len()];
                    if let Ok(mut node) = TcpStream::connect(("127.0.0.1", port)).await {
                        let _ = tokio::io::copy_bidirectional(&mut socket, &mut node).await;
                        return;
                    }
                }
            });
        }
    });
    Ok(url)
}

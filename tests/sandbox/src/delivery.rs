//! Delivery of responses that violate HTTP, as faults require.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::http::StatusCode;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::sleep;
use tokio_rustls::server::TlsStream;

use crate::response::Response;

/// Steps that replace the HTTP response on a connection.
pub(crate) struct Script {
    /// Status of the response that the steps contain, if they contain one.
    pub(crate) status: Option<u16>,
    pub(crate) steps: Vec<Step>,
    pub(crate) end: End,
}

pub(crate) enum Step {
    Write(Vec<u8>),
    /// Writes byte by byte with an interval.
    Trickle(Vec<u8>, Duration),
    /// Writes this number of spaces.
    Fill(u64),
}

/// Fate of the connection after the steps.
#[derive(Clone, Copy)]
pub(crate) enum End {
    /// Stays open for the next request.
    KeepAlive,
    /// Is closed regularly after a delay.
    CloseAfter(Duration),
    /// Is closed with a TCP RST.
    Reset,
    /// Stays open without data until the client closes it.
    Stall,
}

impl Script {
    /// Runs the script. Returns whether the connection can be reused.
    pub(crate) async fn run(self, connection: &mut Connection) -> io::Result<bool> {
        for step in self.steps {
            match step {
                Step::Write(bytes) => connection.write_all(&bytes).await?,
                Step::Trickle(bytes, interval) => {
                    for byte in bytes {
                        connection.write_all(&[byte]).await?;
                        connection.flush().await?;
                        sleep(interval).await;
                    }
                }
                Step::Fill(count) => fill(connection, count).await?,
            }
        }
        connection.flush().await?;
        match self.end {
            End::KeepAlive => return Ok(true),
            End::CloseAfter(delay) => {
                sleep(delay).await;
                connection.shutdown().await?;
            }
            End::Reset => connection.tcp().set_zero_linger()?,
            End::Stall => {
                let mut ignored = [0; 1024];
                while connection.read(&mut ignored).await? > 0 {}
            }
        }
        Ok(false)
    }
}

async fn fill(connection: &mut Connection, count: u64) -> io::Result<()> {
    let spaces = [b' '; 64 * 1024];
    let mut left = count;
    while left > 0 {
        let length = left.min(spaces.len() as u64);
        connection.write_all(&spaces[..length as usize]).await?;
        left -= length;
    }
    Ok(())
}

/// Serializes the response head with a `Content-Length` that may differ from the body.
pub(crate) fn head(response: &Response, content_length: u64) -> Vec<u8> {
    let reason = StatusCode::from_u16(response.status)
        .ok()
        .and_then(|status| status.canonical_reason())
        .unwrap_or("Unknown");
    let mut head = format!("HTTP/1.1 {} {reason}\r\n", response.status);
    for (name, value) in &response.headers {
        if name != "content-length" {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
    }
    if response.status != 204 {
        head.push_str(&format!("content-length: {content_length}\r\n"));
    }
    head.push_str("\r\n");
    head.into_bytes()
}

/// Client connection, with or without TLS.
pub(crate) enum Connection {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Connection {
    fn tcp(&self) -> &TcpStream {
        match self {
            Self::Plain(tcp) => tcp,
            Self::Tls(tls) => tls.get_ref().0,
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_read(context, buffer),
            Self::Tls(tls) => Pin::new(tls).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_write(context, bytes),
            Self::Tls(tls) => Pin::new(tls).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_flush(context),
            Self::Tls(tls) => Pin::new(tls).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_shutdown(context),
            Self::Tls(tls) => Pin::new(tls).poll_shutdown(context),
        }
    }
}

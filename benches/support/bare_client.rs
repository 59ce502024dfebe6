//! The least that can be between a clock and a server: blocking sockets, one thread, a fresh
//! connection for each request.
//!
//!     bare_client PORT RATE SECONDS
//!
//! Asks `/b/N` RATE times a second, on 127.0.0.1 to 127.0.0.8 in turn. Prints a line for each: Unix
//! time of its begin in microseconds, nanoseconds from right before the connect to right after the
//! last byte, and the nanoseconds that the server says it took.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

fn ask(address: &str, request: &[u8], buffer: &mut [u8]) -> std::io::Result<(u128, usize)> {
    let began = Instant::now();
    let mut stream = TcpStream::connect(address)?;
    stream.write_all(request)?;
    let mut length = 0;
    while !buffer[..length].ends_with(b"\nend\n") {
        let count = stream.read(&mut buffer[length..])?;
        if count == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        length += count;
    }
    Ok((began.elapsed().as_nanos(), length))
}

fn main() {
    let arguments: Vec<u64> = std::env::args()
        .skip(1)
        .filter_map(|a| a.parse().ok())
        .collect();
    let [port, rate, seconds] = arguments[..] else {
        panic!("PORT RATE SECONDS")
    };
    let mut text = String::new();
    let mut buffer = [0; 4096];
    let begin = Instant::now();
    for n in 0..rate * seconds {
        let slot = begin + Duration::from_nanos(n * 1_000_000_000 / rate);
        std::thread::sleep(slot.saturating_duration_since(Instant::now()));
        let address = format!("127.0.0.{}:{port}", n % 8 + 1);
        let request = format!(
            "GET /b/{n} HTTP/1.1\r\nhost: {address}\r\nuser-agent: \
            bare\r\naccept: */*\r\nconnection: close\r\n\r\n"
        );
        let unix = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .expect("after 1970");
        match ask(&address, request.as_bytes(), &mut buffer) {
            Ok((took_ns, length)) => {
                let service: u64 = std::str::from_utf8(&buffer[length - 25..length - 5])
                    .ok()
                    .and_then(|s| s.parse().ok())
                    .expect("the server's figure");
                text.push_str(&format!("{} {took_ns} {service}\n", unix.as_micros()));
            }
            Err(error) => eprintln!("bare_client: {error}"),
        }
    }
    print!("{text}");
}
